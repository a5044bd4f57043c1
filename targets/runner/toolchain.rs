//! Which compiler builds for a target, and where its standard library comes from.
//!
//! A library that is installed for the target (`rustup target add`) is best. Else it is built from its source: from
//! rustup's component `rust-src`, or Debian's package `rust-web-src`. Cargo offers that on nightly only, and with
//! `RUSTC_BOOTSTRAP=1` on others.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A compiler that can build for the target that it was found for.
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Whether the standard library must be built too.
    from_source: bool,
    /// Whether the compiler brings the linker that it uses for boards.
    has_linker: bool,
}

fn answer(rustc: &Path, arguments: &[&str]) -> Option<String> {
    let output = clean(Command::new(rustc)).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}

/// The command without what the cargo that runs this program has set for it.
fn clean(mut command: Command) -> Command {
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command
}

impl Toolchain {
    /// The first compiler that can build for the target: the one in use, then Debian's.
    pub(crate) fn find(triple: &str) -> Result<Self, String> {
        let in_use = |name: &str| env::var_os(name).map(PathBuf::from);
        let candidates = [
            (
                in_use("CARGO").unwrap_or("cargo".into()),
                in_use("RUSTC").unwrap_or("rustc".into()),
            ),
            ("/usr/bin/cargo".into(), "/usr/bin/rustc".into()),
        ];
        let mut able: Vec<Toolchain> = candidates
            .into_iter()
            .filter_map(|(cargo, rustc)| Self::inspect(cargo, rustc, triple))
            .collect();
        able.sort_by_key(|toolchain| toolchain.from_source);
        able.into_iter().next().ok_or_else(|| {
            format!(
                "no compiler here can build for {triple}.\n\
                 With rustup: `rustup target add {triple}`.\n\
                 On Debian: `cargo xtask boards setup`, which installs a compiler with the source of its library."
            )
        })
    }

    fn inspect(cargo: PathBuf, rustc: PathBuf, triple: &str) -> Option<Self> {
        let library = answer(&rustc, &["--print", "target-libdir", "--target", triple])?;
        let sysroot = PathBuf::from(answer(&rustc, &["--print", "sysroot"])?);
        let host = answer(&rustc, &["--print", "host-tuple"])?;
        let installed = Path::new(&library).exists();
        let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
        if !installed && !source.exists() {
            return None;
        }
        let linker = sysroot.join(format!("lib/rustlib/{host}/bin/rust-lld"));
        Some(Toolchain {
            cargo,
            rustc,
            from_source: !installed,
            has_linker: linker.exists(),
        })
    }

    /// The compiler's name and version.
    pub(crate) fn version(&self) -> String {
        let version = answer(&self.rustc, &["--version"]).unwrap_or_default();
        let words: Vec<&str> = version.split(' ').take(2).collect();
        words.join(" ")
    }

    /// Cargo, told to build for a board.
    pub(crate) fn cargo(&self, triple: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&self.cargo, triple, arguments, "core");
        if !self.has_linker {
            let linker = format!("target.{triple}.linker=\"ld.lld\"");
            command.args(["--config", &linker]);
        }
        command
    }

    /// Clippy for a board, if the compiler comes with it.
    pub(crate) fn clippy(&self, triple: &str) -> Option<Command> {
        let program = self.cargo.with_file_name("cargo-clippy");
        answer(&program, &["--version"])?;
        let mut command = self.command(&program, triple, &["clippy"], "core");
        command.env("CARGO", &self.cargo);
        Some(command)
    }

    /// Cargo, told to build for Linux; the linker is the caller's to say.
    pub(crate) fn cargo_for_linux(&self, triple: &str, arguments: &[&str]) -> Command {
        self.command(
            &self.cargo,
            triple,
            arguments,
            "std,panic_unwind,test,proc_macro",
        )
    }

    fn command(&self, program: &Path, triple: &str, arguments: &[&str], library: &str) -> Command {
        let mut command = clean(Command::new(program));
        command.env("RUSTC", &self.rustc).args(arguments);
        command.args(["--target", triple]);
        if self.from_source {
            command.env("RUSTC_BOOTSTRAP", "1");
            command.arg(format!("-Zbuild-std={library}"));
        }
        command
    }
}
