//! Program points: the places where a program may wait.

use core::fmt;

/// A place in the program, made by [`point!`](crate::point). Its identity is its address.
///
/// The name is for people only; two points may share one.
#[derive(Debug)]
#[doc(alias = "stage")]
pub struct ProgramPoint {
    name: Option<&'static str>,
    module: &'static str,
    file: &'static str,
    line: u32,
    column: u32,
}

impl ProgramPoint {
    #[doc(hidden)]
    pub const fn new(
        name: Option<&'static str>,
        module: &'static str,
        file: &'static str,
        line: u32,
        column: u32,
    ) -> Self {
        ProgramPoint {
            name,
            module,
            file,
            line,
            column,
        }
    }

    /// The name that was given, if any.
    pub const fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The module that the point stands in.
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The source file.
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// The line in the file, from 1.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column in the line, from 1.
    pub const fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for ProgramPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(f, "\"{name}\" ")?;
        }
        write!(f, "({}:{}:{})", self.file, self.line, self.column)
    }
}

/// Makes the [`ProgramPoint`] of this place in the source: `point!()` or `point!("name")`.
///
/// Each expansion is one point, also inside a generic function or a loop; a loop tells its rounds apart by the
/// iteration number of [`Context::scope`](crate::Context::scope).
#[macro_export]
macro_rules! point {
    () => {
        $crate::point!(@ ::core::option::Option::None)
    };
    ($name:literal) => {
        $crate::point!(@ ::core::option::Option::Some($name))
    };
    (@ $name:expr) => {{
        static POINT: $crate::ProgramPoint = $crate::ProgramPoint::new(
            $name,
            ::core::module_path!(),
            ::core::file!(),
            ::core::line!(),
            ::core::column!(),
        );
        &POINT
    }};
}
