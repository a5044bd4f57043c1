//! The boards: how each is built for, and what QEMU is told.

/// A machine without an operating system.
pub(crate) struct Board {
    pub(crate) name: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) triple: &'static str,
    pub(crate) package: &'static str,
    pub(crate) features: &'static str,
    pub(crate) qemu: &'static str,
    /// What comes before the options that all boards share.
    pub(crate) machine: &'static [&'static str],
    pub(crate) programs: &'static [&'static str],
}

pub(crate) static BOARDS: [Board; 1] = [Board {
    name: "lm3s6965evb",
    cpu: "Cortex-M3",
    triple: "thumbv7m-none-eabi",
    package: "batchloop-cortex-m",
    features: "lm3s6965evb",
    qemu: "qemu-system-arm",
    machine: &["-M", "lm3s6965evb"],
    programs: &["suite"],
}];
