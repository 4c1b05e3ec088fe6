//! What the shell sees. A documented interface: numbers are never reused.

/// Outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Done.
    Ok = 0,
    /// A check ran and found something wrong.
    CheckFailed = 1,
    /// The command line, a configuration or an input file is wrong.
    Usage = 2,
    /// The machine lacks something: a tool, a file, a permission.
    Environment = 3,
    /// Policy forbids it: signature, vetting, grant, revocation.
    Refused = 4,
    /// A server, database or file could not be reached, read or written.
    Remote = 5,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
