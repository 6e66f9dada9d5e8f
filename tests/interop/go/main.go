// Command auditlog reads a log in a folder with the Go checksum database's own code, and tells the first thing that is
// wrong with it.
//
//	auditlog FOLDER VKEY [RECEIPTS]
//
// RECEIPTS is a folder of pairs NAME.tlog-proof and NAME.entry.
//
// See: https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-proof.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: auditlog FOLDER VKEY [RECEIPTS]")
		os.Exit(2)
	}
	summary, err := audit(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(summary)
}

func audit(folder, vkey string, receipts []string) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return "", err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return "", err
	}
	hashes, err := readEntries(folder, tree.N)
	if err != nil {
		return "", err
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return "", err
	}
	if root != tree.Hash {
		return "", errors.New("the entries do not give the root of the checkpoint")
	}
	tiles, err := checkTiles(folder, tree.N, hashes)
	if err != nil {
		return "", err
	}
	proofs, err := checkProofs(folder, tree, hashes)
	if err != nil {
		return "", err
	}
	checked := 0
	for _, receipts := range receipts {
		if checked, err = checkReceipts(receipts, verifier, hashes); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d entries, %d tiles, %d proofs, %d receipts", tree.N, tiles, proofs, checked), nil
}

// openCheckpoint returns the tree of a checkpoint, once its signature and its origin are those of verifier.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("the note is no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// storage is the hashes of a tree, in the order of the checksum database.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, errors.New("the tree has no such hash")
		}
		found[i] = s[index]
	}
	return found, nil
}

// readEntries returns the hashes of the tree over the first size entries of the log.
func readEntries(folder string, size int64) (storage, error) {
	var hashes storage
	for first := int64(0); first < size; first += 1 << height {
		width := min(size-first, 1<<height)
		name := path("entries", first>>height, int(width))
		bundle, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		for number := first; number < first+width; number++ {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return nil, fmt.Errorf("%s is cut short", name)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			stored, err := tlog.StoredHashes(number, bundle[2:end], hashes)
			if err != nil {
				return nil, err
			}
			hashes, bundle = append(hashes, stored...), bundle[end:]
		}
		if len(bundle) > 0 {
			return nil, fmt.Errorf("%s goes on after its entries", name)
		}
	}
	return hashes, nil
}

// checkTiles compares every tile of a tree of that size with what its hashes give.
func checkTiles(folder string, size int64, hashes storage) (int, error) {
	tiles := tlog.NewTiles(height, 0, size)
	for _, tile := range tiles {
		expected, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return 0, err
		}
		name := path(strconv.Itoa(tile.L), tile.N, tile.W)
		found, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(found, expected) {
			return 0, fmt.Errorf("%s is not what the entries give", name)
		}
	}
	return len(tiles), nil
}

// onDisk reads tiles as the checksum database's client does, which believes none of them before it has checked it.
type onDisk string

func (folder onDisk) Height() int { return height }

func (folder onDisk) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(folder), path(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (folder onDisk) SaveTiles([]tlog.Tile, [][]byte) {}

// checkProofs makes and checks proofs of inclusion and consistency, off the tiles of the log alone.
func checkProofs(folder string, tree tlog.Tree, hashes storage) (int, error) {
	reader := tlog.TileHashReader(tree, onDisk(folder))
	step, checked := tree.N/97+1, 0
	for number := int64(0); number < tree.N; number += step {
		proof, err := tlog.ProveRecord(tree.N, number, reader)
		if err != nil {
			return 0, err
		}
		leaf := hashes[tlog.StoredHashIndex(0, number)]
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, number, leaf); err != nil {
			return 0, err
		}
		if err := checkPrefix(tree, number+1, reader, hashes); err != nil {
			return 0, err
		}
		checked += 2
	}
	return checked, nil
}

// checkPrefix checks that tree extends the tree of the first size entries.
func checkPrefix(tree tlog.Tree, size int64, reader tlog.HashReader, hashes storage) error {
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, size, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, size, root)
}

// checkReceipts checks each receipt of a folder against its entry, and its checkpoint against the log.
func checkReceipts(folder string, verifier note.Verifier, hashes storage) (int, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.tlog-proof"))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		receipt, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		entry, err := os.ReadFile(strings.TrimSuffix(name, ".tlog-proof") + ".entry")
		if err != nil {
			return 0, err
		}
		if err := checkReceipt(receipt, entry, verifier, hashes); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return len(names), nil
}

func checkReceipt(receipt, entry []byte, verifier note.Verifier, hashes storage) error {
	head, signed, found := bytes.Cut(receipt, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("it is no tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return errors.New("it holds something that is no hash")
		}
		proof = append(proof, tlog.Hash(hash))
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("its checkpoint is of another history")
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// path returns the path of a tile, as tlog-tiles spells it.
func path(level string, number int64, width int) string {
	spelled := fmt.Sprintf("%03d", number%1000)
	for number >= 1000 {
		number /= 1000
		spelled = fmt.Sprintf("x%03d/%s", number%1000, spelled)
	}
	if width < 1<<height {
		spelled += fmt.Sprintf(".p/%d", width)
	}
	return "tile/" + level + "/" + spelled
}
