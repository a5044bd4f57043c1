//! The fields of a head, by name.

use httparse::Header;

/// The fields of a head.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'h>(&'h [Header<'h>]);

impl<'h> Fields<'h> {
    pub(crate) fn new(fields: &'h [Header<'h>]) -> Self {
        Fields(fields)
    }

    /// The values of all lines with this name.
    pub(crate) fn lines(self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        let named = move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.value)
    }

    /// The members of the lists that all lines with this name are.
    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.lines(name)
            .flat_map(|line| line.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.lines(name).next().is_some()
    }

    /// Whether a list has this member, in any case.
    pub(crate) fn lists(self, name: &str, value: &str) -> bool {
        self.values(name)
            .any(|found| found.eq_ignore_ascii_case(value.as_bytes()))
    }

    /// The value of a field that may be there once.
    pub(crate) fn only(self, name: &str) -> Option<&'h [u8]> {
        let mut lines = self.lines(name);
        lines.next().filter(|_| lines.next().is_none())
    }
}
