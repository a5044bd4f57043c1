//! The command line.

use crate::target::Target;

/// What the user asks for.
pub(crate) struct Arguments {
    pub(crate) targets: Vec<Target>,
    pub(crate) overwrite: bool,
    pub(crate) help: bool,
}

pub(crate) fn usage() -> String {
    let mut text = String::from(
        "usage: cargo xtask boards [TARGET…]\n\n\
         Runs the targets' programs in QEMU and compares what they print with targets/expected;\n\
         `cargo xtask bless boards [TARGET…]` writes what they print there instead. Without a TARGET\n\
         it runs all of them:\n",
    );
    for target in Target::all() {
        text.push_str(&format!("\n  {:<14} {}", target.name(), target.describe()));
    }
    text
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Arguments {
            targets: Vec::new(),
            overwrite: false,
            help: false,
        };
        for word in words {
            match word.as_str() {
                "--overwrite" => arguments.overwrite = true,
                "--help" | "-h" => arguments.help = true,
                name => match Target::all().find(|target| target.name() == name) {
                    Some(target) => arguments.targets.push(target),
                    None => return Err(format!("no such target: {name}\n\n{}", usage())),
                },
            }
        }
        if arguments.targets.is_empty() {
            arguments.targets.extend(Target::all());
        }
        Ok(arguments)
    }
}
