fn main() -> std::process::ExitCode {
    uuk::main()
}
