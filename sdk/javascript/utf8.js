/** UTF-8, which QuickJS leaves to its surroundings. What the host gives is always valid. */

/** The text that `bytes` encode. */
export function decode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    let code = first;
    if (first >= 0x80) {
      let more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
      code = first & (0x3f >> more);
      while (more-- > 0) code = (code << 6) | (bytes[at++] & 0x3f);
    }
    text += String.fromCodePoint(code);
  }
  return text;
}

/** The bytes of `text`. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code < 0x80) {
      bytes.push(code);
    } else if (code < 0x800) {
      bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    } else {
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return new Uint8Array(bytes);
}
