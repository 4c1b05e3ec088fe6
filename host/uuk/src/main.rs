/// Every call makes and frees an instance's state, often on another thread than the one that made it. Measured: the
/// system's allocator took a tenth of a call's time in that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    uuk::main()
}
