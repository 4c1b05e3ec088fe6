// Package abi lays values out as the component model's canonical ABI has them in memory. On WebAssembly its pointers are
// half as wide as Go's.
package abi

import "unsafe"

// An instance answers one call and is dropped with its memory: until then, all that the host may look at is kept.
var kept []any

// Span is a string or a list: where it begins, and of how many.
type Span struct{ At, Count uint32 }

// Option is a string that may be absent.
type Option struct {
	Has   uint8
	Value Span
}

// Keep gives the address of value.
func Keep[T any](value *T) uint32 {
	kept = append(kept, value)
	return uint32(uintptr(unsafe.Pointer(value)))
}

// Text is text as the host reads it.
func Text(text string) Span {
	return List(unsafe.Slice(unsafe.StringData(text), len(text)))
}

// List is a list as the host reads it.
func List[T any](items []T) Span {
	if len(items) == 0 {
		return Span{}
	}
	return Span{Keep(unsafe.SliceData(items)), uint32(len(items))}
}

// Some is text that is there, unless it is empty.
func Some(text string) Option {
	if text == "" {
		return Option{}
	}
	return Option{1, Text(text)}
}

// At is the value that the host wrote to an address, or a part of it.
func At[T any](address uint32) *T {
	return (*T)(unsafe.Pointer(uintptr(address)))
}

// Items are the items of a list that the host wrote.
func Items[T any](span Span) []T {
	if span.Count == 0 {
		return nil
	}
	return unsafe.Slice(At[T](span.At), span.Count)
}

// String is a string that the host wrote.
func (span Span) String() string {
	return string(Items[byte](span))
}

// String is the string that the host wrote, empty if it is absent.
func (option Option) String() string {
	if option.Has == 0 {
		return ""
	}
	return option.Value.String()
}

// The host asks for the memory of what it hands over. Words of eight bytes are aligned for every type of the contract.
//
//go:wasmexport cabi_realloc
func realloc(old, oldSize, align, size uint32) uint32 {
	if size == 0 {
		return align
	}
	words := make([]uint64, (size+7)/8)
	if old != 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size), unsafe.Slice(At[byte](old), oldSize))
	}
	return Keep(unsafe.SliceData(words))
}
