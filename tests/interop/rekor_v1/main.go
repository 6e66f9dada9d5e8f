// What Rekor's own code says of an entry of a log of its first version, read as JSON from standard input:
//
//	rekor_v1 canonical            the proposed entry's leaf, as a server would log it
//	rekor_v1 verify KEY_FILE      whether an answer of /api/v1/log/entries verifies: its leaf, proof, checkpoint, promise
package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	"github.com/sigstore/rekor/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

func canonical(content []byte) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(bytes.NewReader(content), jsonConsumer{})
	if err != nil {
		return nil, err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(context.Background(), entry)
}

func verified(content []byte, keyFile string) ([]byte, error) {
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var answer models.LogEntry
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, err
	}
	for _, entry := range answer {
		if err := verify.VerifyLogEntry(context.Background(), &entry, verifier); err != nil {
			return nil, err
		}
	}
	return []byte(fmt.Sprintf("%d verified\n", len(answer))), nil
}

type jsonConsumer struct{}

func (jsonConsumer) Consume(reader io.Reader, value interface{}) error {
	return json.NewDecoder(reader).Decode(value)
}

func main() {
	content, err := io.ReadAll(os.Stdin)
	var said []byte
	switch {
	case err != nil:
	case len(os.Args) == 2 && os.Args[1] == "canonical":
		said, err = canonical(content)
	case len(os.Args) == 3 && os.Args[1] == "verify":
		said, err = verified(content, os.Args[2])
	default:
		err = fmt.Errorf("expected canonical, or verify KEY_FILE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(said)
}
