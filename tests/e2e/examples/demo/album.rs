use std::path::PathBuf;

use uuk_testkit::browser::Browser;

/// Small enough to be read in a page.
const SCREEN: [u32; 2] = [960, 1100];

/// Where pictures of the pages go, if anywhere.
pub(crate) struct Album {
    pub(crate) folder: Option<PathBuf>,
}

impl Album {
    pub(crate) async fn take(&self, browser: &Browser, name: &str) {
        if let Some(folder) = &self.folder {
            browser.picture_of_screen(SCREEN, &folder.join(format!("{name}.png"))).await;
        }
    }
}
