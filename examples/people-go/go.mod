module people

go 1.24

require uuk/adapter v0.0.0

// `uuk adapter build` puts it there.
replace uuk/adapter => ./target/uuk/go
