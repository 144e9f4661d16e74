//! How the console looks: contrast in light and dark, names for screen readers, narrow windows, and screenshots.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::browser::Browser;
use super::dev::Dev;
use super::person::{is_clean, open, send};

#[test]
fn the_console_is_readable_in_light_and_dark_and_by_a_screen_reader() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    send(&browser);
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.badge.replayed')");
    browser.fill(&browser.labelled("amount_cents"), "x");
    send(&browser);
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        grounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
        let faint = browser.run(&faint_texts(60));
        assert_eq!(faint, json!([]), "in {scheme}");
    }
    assert_ne!(grounds[0], grounds[1]);
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let role = |node: &Value| node["role"]["value"].as_str().unwrap_or_default().to_owned();
    let name = |node: &Value| node["name"]["value"].as_str().unwrap_or_default().to_owned();
    let nameless: Vec<_> = nodes
        .iter()
        .filter(|node| {
            ["textbox", "button", "link", "combobox", "region", "navigation", "table"].contains(&role(node).as_str())
        })
        .filter(|node| name(node).trim().is_empty())
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    for landmark in ["banner", "navigation", "main", "status"] {
        assert_eq!(
            nodes.iter().filter(|node| role(node) == landmark).count(),
            1,
            "{landmark}"
        );
    }
    // In a window as narrow as a telephone, nothing is wider than the window.
    browser.size(500, 900);
    assert_eq!(
        browser.run("return document.documentElement.scrollWidth <= innerWidth"),
        true
    );
    is_clean(&browser, &dev);
}

/// A script that returns every text whose contrast is below 4.5 : 1 (WCAG 2.2 §1.4.3), except disabled and invisible
/// text. If there are fewer than `least` texts, the script returns how many there are.
pub(crate) fn faint_texts(least: u32) -> String {
    format!("const least = {least};{FAINT_TEXTS}")
}

const FAINT_TEXTS: &str = "
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const channels = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => channels(colour).slice(0, 3)
      .map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
      .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (element) => {
      for (let one = element; one; one = one.parentElement) {
        const colour = getComputedStyle(one).backgroundColor;
        if (channels(colour)[3] === 255) return colour;
      }
      return 'white';
    };
    const hasText = (element) => element.matches('input, textarea, select')
      || [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const faint = [];
    let seen = 0;
    for (const element of document.body.querySelectorAll('*')) {
      if (!hasText(element) || !element.checkVisibility() || element.disabled || element.closest('.visually-hidden')) continue;
      seen += 1;
      for (const pseudo of [null, '::placeholder']) {
        const style = getComputedStyle(element, pseudo);
        const [one, other] = [luminance(style.color), luminance(ground(element))].sort((left, right) => right - left);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < 4.5) faint.push(`${element.tagName} ${element.className} ${element.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
      }
    }
    if (seen < least) faint.push(`only ${seen} texts were looked at`);
    return faint;
";

/// Takes a screenshot. Stores it in the folder that `CONSOLE_SCREENSHOTS` names, if the variable is set.
pub(crate) fn picture(browser: &Browser, name: &str, scheme: &str, (width, height): (u32, u32)) -> Vec<u8> {
    browser.prefer(scheme);
    let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    let picture = browser.screenshot();
    assert!(picture.starts_with(b"\x89PNG"), "{name}");
    if let Some(folder) = std::env::var_os("CONSOLE_SCREENSHOTS").map(PathBuf::from) {
        fs::write(folder.join(format!("{name}.png")), &picture).unwrap();
    }
    picture
}

#[test]
fn it_has_its_picture_taken() {
    let dev = Dev::start("support-desk");
    let browser = open(&dev, "refund_order");
    browser.size(1280, 860);
    browser.fill(&browser.labelled("reason"), "The teapot arrived broken.");
    send(&browser);
    browser.press("Repeat with the same key");
    browser.until("document.querySelector('.badge.replayed')");
    browser.run("document.activeElement.blur()");
    let light = picture(&browser, "console", "light", (1200, 800));
    let dark = picture(&browser, "console-dark", "dark", (1200, 800));
    let narrow = picture(&browser, "console-narrow", "light", (400, 1400));
    assert!(light != dark && light != narrow, "dark and narrow look different");
}
