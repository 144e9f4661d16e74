//! How one input becomes another: as libFuzzer does it, and now and then much longer.

/// One mutation in this many lengthens the input.
const LONG: u32 = 64;
/// The longest part that is repeated.
const PART: usize = 64;

/// Changes the first `size` bytes and says how many there are then, at most `most`. One time in 64 some part of the input is
/// repeated, at most until the input is as long as it may be: cost that grows faster than length shows only there, and coverage,
/// which counts no further than 128, does not lead there. One time in three the numbers in that part count up.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if size == 0 || seed % LONG != 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let seed = (seed / LONG) as usize;
    let start = seed % size;
    let length = 1 + (seed / size) % (size - start).min(PART);
    // Mostly less than may be: descendants of a long input are long too, and slow.
    let longest = most >> (seed % 5);
    let added = longest.saturating_sub(size) / length * length;
    data.copy_within(start..size, start + added);
    for at in (start..start + added).step_by(length) {
        data.copy_within(start + added..start + added + length, at);
    }
    if seed % 3 == 0 {
        for (number, part) in data[start..start + added].chunks_mut(length).enumerate() {
            count_up(part, number);
        }
    }
    size + added
}

/// Adds to each number in the text, so that names which must differ do.
fn count_up(text: &mut [u8], by: usize) {
    let mut carry = by;
    for byte in text.iter_mut().rev() {
        if byte.is_ascii_digit() {
            carry += usize::from(*byte - b'0');
            *byte = b"0123456789"[carry % 10];
            carry /= 10;
        } else {
            carry = by;
        }
    }
}
