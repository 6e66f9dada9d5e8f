// Command rekor_client logs signatures with Sigstore's own client of Rekor v2, verifies what the log answers with
// Sigstore's own verifier, and reads it back. Arguments: the log's URL, its verifier key, and how many to log.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/read"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/write"
	pb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/mod/sumdb/note"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func signed(number int, key *ecdsa.PrivateKey) *pb.HashedRekordRequestV002 {
	digest := sha256.Sum256([]byte(strconv.Itoa(number)))
	spki := must(x509.MarshalPKIXPublicKey(&key.PublicKey))
	return &pb.HashedRekordRequestV002{
		Digest: digest[:],
		Signature: &pb.Signature{
			Content: must(ecdsa.SignASN1(rand.Reader, key, digest[:])),
			Verifier: &pb.Verifier{
				Verifier:   &pb.Verifier_PublicKey{PublicKey: &pb.PublicKey{RawBytes: spki}},
				KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
			},
		},
	}
}

func add(writer write.Client, verifier note.Verifier, request *pb.HashedRekordRequestV002) *protorekor.TransparencyLogEntry {
	entry := must(writer.Add(context.Background(), request))
	if err := verify.VerifyLogEntry(entry, verifier); err != nil {
		log.Fatal(err)
	}
	// The leaf as Sigstore makes it from what was signed, without a look at what the log says it is.
	hash := must(hashedrekord.ToEntryHash(request.Digest, request.Signature))
	if err := verify.VerifyLogEntryWithHash(entry, verifier, hash); err != nil {
		log.Fatal(err)
	}
	return entry
}

func main() {
	url, vkey, count := os.Args[1], os.Args[2], must(strconv.Atoi(os.Args[3]))
	verifier := must(note.NewVerifier(vkey))
	writer := must(write.NewWriter(url))
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	var last *protorekor.TransparencyLogEntry
	for number := range count {
		last = add(writer, verifier, signed(number, key))
	}
	if _, err := writer.Add(context.Background(), &pb.HashedRekordRequestV002{Digest: []byte("x")}); err == nil ||
		!strings.Contains(err.Error(), "400") {
		log.Fatalf("expected the log to refuse what is not signed: %v", err)
	}
	public := ed25519.PublicKey(must(base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2]))[1:])
	reader := must(read.NewReader(url, verifier.Name(), must(signature.LoadVerifier(public, crypto.Hash(0)))))
	checkpoint, _, err := reader.ReadCheckpoint(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	must(reader.ReadTile(context.Background(), 0, 0, uint8(checkpoint.Size)))
	bundle := must(reader.ReadEntryBundle(context.Background(), 0, uint8(checkpoint.Size)))
	if !bytes.HasSuffix(bundle, last.CanonicalizedBody) {
		log.Fatal("expected the last entry at the end of its bundle")
	}
	fmt.Printf("%d entries\n", checkpoint.Size)
}
