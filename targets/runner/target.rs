//! What can be tested.

use crate::{
    board::{BOARDS, Board},
    linux::{LINUXES, Linux},
};

/// A kind of machine.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Without an operating system.
    Board(&'static Board),
    /// Linux programs, in user-mode QEMU.
    Linux(&'static Linux),
}

impl Target {
    pub(crate) fn all() -> impl Iterator<Item = Target> {
        let boards = BOARDS.iter().map(Target::Board);
        boards.chain(LINUXES.iter().map(Target::Linux))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Board(board) => board.name,
            Target::Linux(linux) => linux.name,
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Target::Board(board) => board.cpu,
            Target::Linux(linux) => linux.triple,
        }
    }
}
