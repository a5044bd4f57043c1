//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Where things are.
#[derive(Debug)]
pub(crate) struct Places {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

impl Places {
    pub(crate) fn find() -> Result<Self, String> {
        // Cargo says which checkout it runs this in. It may have been built in another one, for the same target directory.
        let manifest = env::var_os("CARGO_MANIFEST_DIR");
        let manifest = manifest.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).join("..");
        let root = root
            .canonicalize()
            .map_err(|error| format!("{}: {error}", root.display()))?;
        // Cargo takes it from where it was called.
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => std::path::absolute(&directory)
                .map_err(|error| format!("CARGO_TARGET_DIR: {error}"))?,
            None => root.join("target"),
        };
        Ok(Places { root, target })
    }
}
