package introspection

import (
	"io"
	"log"
)

// quiet drops what servers of tests log, such as failed handshakes.
var quiet = log.New(io.Discard, "", 0)
