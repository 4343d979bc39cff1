package grpcauth_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawConn is a connection of HTTP/2 without the checks of a gRPC client.
type rawConn struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	next   uint32
	ended  map[uint32]rawEnd
}

// rawEnd is how a stream ended.
type rawEnd struct {
	header map[string]string // of all header blocks
	blocks int
	reset  http2.ErrCode
	gone   bool // the connection ended
}

func dialRaw(t *testing.T, addr string) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := &rawConn{t: t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1, ended: map[uint32]rawEnd{}}
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := r.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return r
}

// call sends a call with an empty message, and returns the number of its stream.
func (r *rawConn) call(path string, fields ...hpack.HeaderField) uint32 {
	r.t.Helper()
	stream := r.next
	r.next += 2
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	first := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "api.example"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
	for _, field := range append(first, fields...) {
		if err := encoder.WriteField(field); err != nil {
			r.t.Fatal(err)
		}
	}
	const frame = 16 << 10
	rest := block.Bytes()
	part := rest[:min(frame, len(rest))]
	rest = rest[len(part):]
	if err := r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part, EndHeaders: len(rest) == 0}); err != nil {
		r.t.Log(err)
	}
	for len(rest) > 0 {
		part = rest[:min(frame, len(rest))]
		rest = rest[len(part):]
		if err := r.framer.WriteContinuation(stream, len(rest) == 0, part); err != nil {
			return stream // the server has closed the connection
		}
	}
	_ = r.framer.WriteData(stream, true, make([]byte, 5)) // an empty message; the server may have reset the stream
	return stream
}

// ends reads frames until the stream has ended.
func (r *rawConn) ends(stream uint32) rawEnd {
	r.t.Helper()
	for {
		if end, ok := r.ended[stream]; ok && (end.gone || end.reset != 0 || end.header["grpc-status"] != "" || end.header[":status"] != "" && end.header[":status"] != "200") {
			return end
		}
		frame, err := r.framer.ReadFrame()
		if err != nil {
			return rawEnd{gone: true}
		}
		id := frame.Header().StreamID
		end := r.ended[id]
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if end.header == nil {
				end.header = map[string]string{}
			}
			end.blocks++
			for _, field := range f.Fields {
				end.header[field.Name] = field.Value
			}
		case *http2.RSTStreamFrame:
			if end.header["grpc-status"] == "" {
				end.reset = f.ErrCode
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = r.framer.WriteSettingsAck()
			}
			continue
		case *http2.GoAwayFrame:
			r.t.Logf("GOAWAY %v", f.ErrCode)
			continue
		default:
			continue
		}
		r.ended[id] = end
	}
}
