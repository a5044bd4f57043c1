pub(crate) fn servers() {}
