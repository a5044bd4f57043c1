//! Names of types as people write them.

use core::{any::type_name, fmt};

/// The name of a type, printed without the paths of modules: `Retry<Option<Call>>`, not
/// `app::retry::Retry<core::option::Option<app::call::Call>>`.
///
/// It is for people: two types may share a name.
///
/// ```
/// use batchloop_core::inspect::TypeName;
/// assert_eq!(TypeName::of::<Vec<Option<String>>>().to_string(), "Vec<Option<String>>");
/// assert_eq!(TypeName::of::<(u8, &std::path::Path)>().to_string(), "(u8, &Path)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeName(&'static str);

impl TypeName {
    /// The name of this type.
    pub fn of<T: ?Sized>() -> Self {
        TypeName(type_name::<T>())
    }

    /// A name as the compiler gives it, with all paths, or a part of one.
    pub const fn new(with_paths: &'static str) -> Self {
        TypeName(with_paths)
    }

    /// The name without the path that it begins with. Those of its parameters are still there.
    pub(crate) fn without_path(self) -> &'static str {
        &self.0[path(self.0)..]
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while !rest.is_empty() {
            rest = &rest[path(rest)..];
            let (name, others) = rest.split_at(word(rest));
            f.write_str(name)?;
            // What stands between two names, all of it ASCII: the bracket behind this one, too, which begins no path.
            let between = others
                .char_indices()
                .position(|(at, c)| is_of_word(c) || c == '<' && at > 0);
            let (between, behind) = others.split_at(between.unwrap_or(others.len()));
            f.write_str(between)?;
            rest = behind;
        }
        Ok(())
    }
}

impl fmt::Debug for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Braces are those of closures; no letter that is not ASCII is a bracket.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '{' | '}' | '#') || !c.is_ascii()
}

/// How long the word is that the text begins with.
fn word(text: &str) -> usize {
    text.find(|c| !is_of_word(c)).unwrap_or(text.len())
}

/// How long the brackets are that the text begins with; 0 if it does not.
fn brackets(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            // Not that of an arrow.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
        before = c;
    }
    0
}

/// How long the path is that the text begins with, up to the last name. A segment of it is a word, or words of an
/// implementation in brackets, and may have parameters.
fn path(text: &str) -> usize {
    let mut start = 0;
    loop {
        let rest = &text[start..];
        let name = word(rest);
        let end = name + brackets(&rest[name..]);
        match rest[end..].strip_prefix("::") {
            // `Iterator::<Item = u8>`: nothing of the kind is in a name of the compiler's.
            Some(_) => start += end + 2,
            None => return start,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, string::String, string::ToString, vec::Vec};

    use super::*;

    mod inner {
        pub(super) struct Plain;
        pub(super) struct With<T, const N: usize>(pub(super) [T; N]);
        pub(super) trait Says {}
        impl<T> With<T, 2> {
            pub(super) fn local() -> super::TypeName {
                struct Local;
                super::TypeName::of::<Local>()
            }
        }
    }

    use inner::{Plain, Says, With};

    fn name<T: ?Sized>() -> String {
        TypeName::of::<T>().to_string()
    }

    #[test]
    fn paths_are_left_out_wherever_they_stand() {
        assert_eq!(name::<u8>(), "u8");
        assert_eq!(name::<Plain>(), "Plain");
        assert_eq!(name::<Vec<String>>(), "Vec<String>");
        assert_eq!(name::<With<Plain, 3>>(), "With<Plain, 3>");
        assert_eq!(name::<With<Option<Plain>, 3>>(), "With<Option<Plain>, 3>");
        let nested = "Result<Vec<With<Plain, 1>>, Option<Option<String>>>";
        type Nested = Result<Vec<With<Plain, 1>>, Option<Option<String>>>;
        assert_eq!(name::<Nested>(), nested);
    }

    #[test]
    fn types_without_a_name_of_their_own() {
        assert_eq!(name::<()>(), "()");
        assert_eq!(name::<(u8, Option<String>)>(), "(u8, Option<String>)");
        assert_eq!(name::<((Plain,), [Plain; 2])>(), "((Plain,), [Plain; 2])");
        assert_eq!(name::<[Vec<Plain>]>(), "[Vec<Plain>]");
        assert_eq!(name::<&'static str>(), "&str");
        assert_eq!(name::<&'static mut [Plain]>(), "&mut [Plain]");
        assert_eq!(name::<*const Plain>(), "*const Plain");
        assert_eq!(name::<Box<dyn Says + Send>>(), "Box<dyn Says + Send>");
        type Function = fn(Plain, Vec<u8>) -> Option<Plain>;
        assert_eq!(name::<Function>(), "fn(Plain, Vec<u8>) -> Option<Plain>");
        // The compiler says with or without the lifetime.
        assert!(
            name::<fn(&Plain)>().ends_with(" Plain)") || name::<fn(&Plain)>().ends_with("&Plain)")
        );
        let call = name::<Box<dyn Fn(Plain) -> With<Plain, 1>>>();
        assert_eq!(call, "Box<dyn Fn(Plain) -> With<Plain, 1>>");
    }

    #[test]
    fn what_stands_in_functions_and_implementations() {
        struct Here;
        assert_eq!(name::<Here>(), "Here");
        assert_eq!(With::<Plain, 2>::local().to_string(), "Local");
        let closure = || ();
        fn of<T>(_: &T) -> String {
            name::<Option<T>>()
        }
        assert_eq!(of(&closure), "Option<{{closure}}>");
    }

    #[test]
    fn texts_of_other_compilers() {
        let shown = |text| TypeName::new(text).to_string();
        assert_eq!(shown("a::<impl b::C<d::E>>::f::Local"), "Local");
        assert_eq!(shown("<a::B<c::D> as e::F>::G"), "G");
        assert_eq!(shown("a::B<c::D>::e::F<g::H>"), "F<H>");
        assert_eq!(
            shown("(<impl a::B>::C, fn(d::E) -> f::G)"),
            "(C, fn(E) -> G)"
        );
        assert_eq!(shown("a::b::{closure#0}"), "{closure#0}");
        assert_eq!(shown("größe::Maß<länge::Elle>"), "Maß<Elle>");
        for odd in [
            "",
            "<",
            ">",
            "::",
            "a::",
            "<<a::b",
            "a<b::c",
            "->::a",
            "a<->b>::c",
        ] {
            // Cut off as it may be, it prints something, and ends.
            assert!(shown(odd).len() <= odd.len());
        }
    }

    #[test]
    fn the_first_path_alone() {
        let name = |text| TypeName::new(text).without_path();
        assert_eq!(name("a::Local"), "Local");
        assert_eq!(
            name("alloc::vec::Vec<alloc::string::String>"),
            "Vec<alloc::string::String>"
        );
        assert_eq!(name("(u8, a::B)"), "(u8, a::B)");
    }
}
