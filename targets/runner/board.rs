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
    /// The package of the program that counts instructions, if the board has one.
    pub(crate) count: Option<&'static str>,
}

const fn cortex_m(
    name: &'static str,
    cpu: &'static str,
    triple: &'static str,
    machine: &'static [&'static str],
) -> Board {
    Board {
        name,
        cpu,
        triple,
        package: "batchloop-cortex-m",
        features: name,
        qemu: "qemu-system-arm",
        machine,
        count: None,
    }
}

const fn riscv32(
    name: &'static str,
    cpu: &'static str,
    triple: &'static str,
    machine: &'static [&'static str],
) -> Board {
    Board {
        name,
        cpu,
        triple,
        package: "batchloop-riscv32",
        features: "",
        qemu: "qemu-system-riscv32",
        machine,
        count: None,
    }
}

pub(crate) static BOARDS: [Board; 7] = [
    cortex_m(
        "microbit",
        "Cortex-M0",
        "thumbv6m-none-eabi",
        &["-M", "microbit"],
    ),
    Board {
        count: Some("batchloop-count"),
        ..cortex_m(
            "lm3s6965evb",
            "Cortex-M3",
            "thumbv7m-none-eabi",
            &["-M", "lm3s6965evb"],
        )
    },
    cortex_m(
        "mps2-an386",
        "Cortex-M4F",
        "thumbv7em-none-eabihf",
        &["-M", "mps2-an386"],
    ),
    cortex_m(
        "mps2-an505",
        "Cortex-M33",
        "thumbv8m.main-none-eabihf",
        &["-M", "mps2-an505"],
    ),
    riscv32(
        "riscv32imac",
        "RISC-V, 32 bits",
        "riscv32imac-unknown-none-elf",
        &["-M", "virt", "-bios", "none", "-cpu", "rv32"],
    ),
    riscv32(
        "riscv32imc",
        "RISC-V, 32 bits, without the A extension",
        "riscv32imc-unknown-none-elf",
        &["-M", "virt", "-bios", "none", "-cpu", "rv32,a=false"],
    ),
    Board {
        name: "aarch64",
        cpu: "Cortex-A53, at EL1",
        triple: "aarch64-unknown-none",
        package: "batchloop-aarch64",
        features: "",
        qemu: "qemu-system-aarch64",
        machine: &["-M", "virt", "-cpu", "cortex-a53"],
        count: None,
    },
];
