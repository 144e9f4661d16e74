//! Makes a new input from another one: by libFuzzer's own mutations, and sometimes by making the input much longer.

/// One of this many mutations makes the input longer.
const LONG: u32 = 64;
/// The most bytes of the part that is repeated.
const PART: usize = 64;

/// Changes the first `size` bytes of `data` and returns the new size, which is at most `most`. One mutation in 64
/// repeats a part of the input, at most until the input has its greatest length. Only such inputs show costs that grow
/// faster than the length. libFuzzer's coverage does not find them, because its counters distinguish no more than 128
/// repetitions. In one of three such mutations, the numbers in the repeated parts count up.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if size == 0 || seed % LONG != 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let seed = (seed / LONG) as usize;
    let start = seed % size;
    let length = 1 + (seed / size) % (size - start).min(PART);
    // Usually shorter than allowed, because inputs made from a long input are long and slow as well.
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

/// Adds `by` to each number in the text, so that names which must be different are different.
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
