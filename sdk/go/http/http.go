// Package http sends requests to upstreams that the manifest names.
package http

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"uuk/adapter"
	"uuk/adapter/internal/abi"
)

type response struct {
	status        uint16
	headers, body abi.Span
}

//go:wasmimport uuk:adapter/http@0.1.0 send
func send(upstream, upstreamSize, method, methodSize, path, pathSize, headers, headersCount, hasBody, body, bodySize,
	hasTimeout, timeoutMs, result uint32)

// GetJSON reads the document at the path made of segments, each percent-encoded, into document. False if the upstream
// says 404.
func GetJSON(document any, upstream string, segments ...string) (bool, error) {
	return SendJSON(document, "GET", upstream, nil, segments...)
}

// SendJSON sends body, if there is one, and reads the document that comes into document.
func SendJSON(document any, method, upstream string, body any, segments ...string) (bool, error) {
	var path strings.Builder
	for _, segment := range segments {
		path.WriteString("/" + url.PathEscape(segment))
	}
	headers := [][2]abi.Span{{abi.Text("accept"), abi.Text("application/json")}}
	var sent abi.Span
	var hasBody uint32
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return false, err
		}
		sent, hasBody = abi.List(text), 1
		headers = append(headers, [2]abi.Span{abi.Text("content-type"), abi.Text("application/json")})
	}
	// A result is whether it is an error, and behind that the response or the error.
	var result [4]uint64
	address, fields := abi.Keep(&result), abi.List(headers)
	to, verb, at := abi.Text(upstream), abi.Text(method), abi.Text(path.String())
	send(to.At, to.Count, verb.At, verb.Count, at.At, at.Count, fields.At, fields.Count, hasBody, sent.At, sent.Count,
		0, 0, address)
	if *abi.At[uint8](address) != 0 {
		return false, fault(*abi.At[uint8](address + 8))
	}
	came := abi.At[response](address + 8)
	switch {
	case came.status == 404:
		return false, nil
	case came.status < 200 || came.status > 299:
		return false, unusable(fmt.Sprintf("the upstream answered with status %d", came.status))
	case json.Unmarshal(abi.Items[byte](came.body), document) != nil:
		return false, unusable("the upstream's document is not the JSON expected")
	}
	return true, nil
}

func unusable(diagnostic string) *adapter.Fault {
	return &adapter.Fault{Kind: adapter.KindUpstreamUnavailable, Code: "UPSTREAM_UNUSABLE",
		Message: "the upstream's answer cannot be used", Diagnostic: diagnostic}
}

var names = [...]string{
	"unknown-upstream", "not-granted", "header-refused", "too-large", "deadline", "busy", "dns", "connect", "tls",
	"protocol", "other",
}

func fault(tag uint8) *adapter.Fault {
	switch name := names[min(int(tag), len(names)-1)]; name {
	case "deadline":
		return &adapter.Fault{Kind: adapter.KindUpstreamTimeout, Code: "UPSTREAM_TIMEOUT",
			Message: "the upstream did not answer in time", Diagnostic: name}
	case "busy", "dns", "connect", "tls", "protocol":
		return &adapter.Fault{Kind: adapter.KindUpstreamUnavailable, Code: "UPSTREAM_UNAVAILABLE",
			Message: "the upstream cannot be reached", Diagnostic: name}
	default:
		return adapter.Internal("UPSTREAM_ERROR", name)
	}
}
