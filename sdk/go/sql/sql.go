// Package sql runs statements of the manifest. The functions that `uuk adapter typegen` writes are made of it.
package sql

import (
	"math"

	"uuk/adapter"
	"uuk/adapter/internal/abi"
)

// Type is the type of a parameter, as the manifest declares it.
type Type uint8

// The types, in the order of the contract with the host.
const (
	null Type = iota
	Boolean
	Integer
	Float
	Decimal
	Text
	Bytes
	Date
	Time
	Timestamp
	Uuid
	Json
	other
)

// Param is a parameter. What may be null is a pointer, nil then.
type Param struct {
	Name  string
	Type  Type
	Value any
}

// Row is the values of a row: bool, int64, float64, string, []byte, or nil for null.
type Row []any

type value struct {
	tag  Type
	data [2]uint64
}

type param struct {
	name  abi.Span
	value value
}

type rowSet struct {
	columns, rows abi.Span
	truncated     bool
}

type sqlError struct {
	tag      uint8
	_        [7]uint8
	rejected struct{ sqlstate, message abi.Span }
}

//go:wasmimport uuk:adapter/sql@0.1.0 run
func run(statement, statementSize, params, paramsCount, result uint32)

// Rows runs a statement.
func Rows(statement string, params ...Param) ([]Row, error) {
	lowered := make([]param, len(params))
	for at, one := range params {
		lowered[at] = param{abi.Text(one.Name), lower(one)}
	}
	// A result is whether it is an error, and behind that the rows or the error.
	var result [6]uint64
	address, name, list := abi.Keep(&result), abi.Text(statement), abi.List(lowered)
	run(name.At, name.Count, list.At, list.Count, address)
	if *abi.At[uint8](address) != 0 {
		return nil, fault(abi.At[sqlError](address + 8))
	}
	var rows []Row
	for _, values := range abi.Items[abi.Span](abi.At[rowSet](address + 8).rows) {
		row := Row{}
		for _, value := range abi.Items[value](values) {
			row = append(row, value.lifted())
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// As is a value of a row that is not null.
func As[T any](value any) T {
	known, _ := value.(T)
	return known
}

// Maybe is a value of a row, nil if it is null.
func Maybe[T any](value any) *T {
	if known, is := value.(T); is {
		return &known
	}
	return nil
}

func lower(one Param) value {
	switch given := one.Value.(type) {
	case *bool:
		return ofPointer(one, given)
	case *int64:
		return ofPointer(one, given)
	case *float64:
		return ofPointer(one, given)
	case *string:
		return ofPointer(one, given)
	case bool:
		if given {
			return value{one.Type, [2]uint64{1}}
		}
		return value{one.Type, [2]uint64{}}
	case int64:
		return value{one.Type, [2]uint64{uint64(given)}}
	case float64:
		return value{one.Type, [2]uint64{math.Float64bits(given)}}
	case string:
		return ofSpan(one.Type, abi.Text(given))
	case []byte:
		if given != nil {
			return ofSpan(one.Type, abi.List(given))
		}
	}
	return value{tag: null}
}

func ofPointer[T any](one Param, given *T) value {
	if given == nil {
		return value{tag: null}
	}
	return lower(Param{one.Name, one.Type, *given})
}

func ofSpan(tag Type, span abi.Span) value {
	return value{tag, [2]uint64{uint64(span.At) | uint64(span.Count)<<32}}
}

func (value value) lifted() any {
	span := abi.Span{At: uint32(value.data[0]), Count: uint32(value.data[0] >> 32)}
	switch value.tag {
	case null:
		return nil
	case Boolean:
		return value.data[0]&1 == 1
	case Integer:
		return int64(value.data[0])
	case Float:
		return math.Float64frombits(value.data[0])
	case Bytes:
		return abi.Items[byte](span)
	case other:
		return abi.Span{At: uint32(value.data[1]), Count: uint32(value.data[1] >> 32)}.String()
	}
	return span.String()
}

var names = [...]string{
	"unknown-datasource", "unknown-statement", "not-granted", "bad-parameter", "too-many-rows", "too-many-bytes",
	"deadline", "busy", "unavailable", "rejected", "conversion", "other",
}

func fault(err *sqlError) *adapter.Fault {
	name := names[min(int(err.tag), len(names)-1)]
	switch name {
	case "deadline":
		return &adapter.Fault{Kind: adapter.KindUpstreamTimeout, Code: "DATABASE_TIMEOUT",
			Message: "the database did not answer in time", Diagnostic: name}
	case "busy", "unavailable":
		return &adapter.Fault{Kind: adapter.KindUpstreamUnavailable, Code: "DATABASE_UNAVAILABLE",
			Message: "the database cannot be reached", Diagnostic: name}
	case "rejected":
		name += ": " + err.rejected.message.String()
	}
	return adapter.Internal("DATABASE_ERROR", name)
}
