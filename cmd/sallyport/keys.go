package main

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// keysFile says where keys come from. The empty one means discovery.
type keysFile struct {
	File string `yaml:"file"`
	URL  string `yaml:"url"`
}

// issuerKeys returns where the issuer's keys come from. nil means that they are
// discovered, or that there are none if the issuer is asked about its tokens.
func (c converter) issuerKeys(file *issuerFile) jwkscache.Source {
	switch {
	case c.jwks != "":
		return noKeys // config adds those of the option
	case file.Keys == nil:
		return nil
	case file.Opaque == nil && *file.Keys == keysFile{}:
		c.faults.Add("needs either file or url", "leave keys out for discovery")
		return noKeys
	default:
		return c.keys(file.Keys)
	}
}

// keys returns where keys come from; {} means discovery. After a fault it is an empty
// set, so that the library finds no second one.
func (c converter) keys(keys *keysFile) jwkscache.Source {
	switch {
	case keys.File != "" && keys.URL != "":
		c.faults.Add("needs either file or url", "keep one of them")
		return noKeys
	case keys.URL != "":
		return jwkscache.URL(keys.URL)
	case keys.File != "":
		return c.at("file").keySet(boundedfile.ReadRegular(c.file(keys.File), maxFile))
	default:
		return jwkscache.Discovered()
	}
}

// keySet returns the keys in a document, or no keys and a fault if it could not be read.
func (c converter) keySet(document []byte, err error) jwkscache.Source {
	if err != nil {
		c.faults.Addf("", "cannot be read: %w", err)
		return noKeys
	}
	return jwkscache.Static(document)
}

var noKeys = jwkscache.Static([]byte(`{"keys":[]}`))

// algorithms returns nil after a fault, so that the library finds none in a part
// of the list.
func (c converter) algorithms(names []string) []jose.Algorithm {
	if names == nil {
		return nil
	}
	all := []jose.Algorithm{}
	for i, name := range names {
		at := c.faults.Atf("[%d]", i)
		algorithm, err := jose.ParseAlgorithm(name)
		switch {
		case err != nil:
			at.Addf("give one of "+strings.Join(algorithmNames(), ", "), "is %q", name)
		case slices.Contains(all, algorithm):
			at.Addf("leave out one (Ed25519 and EdDSA are one algorithm)", "%s is listed twice", name)
		default:
			all = append(all, algorithm)
		}
	}
	if len(all) < len(names) {
		return nil
	}
	return all
}

// algorithmNames returns the names of all algorithms that tokens may be signed
// with.
func algorithmNames() []string {
	var names []string
	for a := jose.RS256; a.Valid(); a++ {
		names = append(names, a.String())
	}
	return names
}
