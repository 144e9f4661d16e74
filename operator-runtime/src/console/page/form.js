// Builds a form from a JSON Schema. Reading a field gives JSON text, or undefined if the field is empty. Empty inputs are not
// sent.

import { canonical, element, freshId, kindOf, numberText, parse } from "./page.js";

/**
 * Makes the field for a schema: `node` is its element, `read()` returns JSON text or undefined, `write(value)` takes a
 * parsed value, and `fields()` returns the field itself and all fields inside it.
 */
export function fieldOf(schema, place) {
  const resolved = resolve(schema, place.root, place.within);
  const own = { ...place, ...resolved };
  if (resolved.recursive) return jsonField(own);
  if (choicesOf(own.schema)) return choiceField(own);
  if (variantsOf(own.schema)) return variantField(own);
  switch (own.schema.type) {
    case "boolean": return choiceField(own);
    case "string":
    case "integer":
    case "number": return textField(own);
    case "array": return kindOf(own.schema.items) === "object" ? listField(own) : jsonField(own);
    case "object": return own.schema.properties ? objectField(own) : mapField(own);
    default: return jsonField(own);
  }
}

/** The schema with its references followed and `null` removed, because in the form an empty field stands for `null`. */
function resolve(schema, root, within) {
  let resolved = kindOf(schema) === "object" ? { ...schema } : {};
  const reference = resolved.$ref;
  if (reference) {
    delete resolved.$ref;
    // The form of a recursive type would never end.
    if (within.includes(reference)) return { schema: resolved, within, recursive: true };
    const target = reference.split("/").slice(1).reduce((node, name) => node?.[name], root);
    const followed = resolve(target ?? {}, root, [...within, reference]);
    return { ...followed, schema: { ...followed.schema, ...resolved } };
  }
  for (const keyword of ["anyOf", "oneOf", "allOf"]) {
    const others = resolved[keyword]?.filter((one) => one.type !== "null");
    if (others?.length === 1) {
      delete resolved[keyword];
      const only = resolve(others[0], root, within);
      return { ...only, schema: { ...only.schema, ...resolved } };
    }
    if (others) resolved[keyword] = others;
  }
  if (Array.isArray(resolved.type)) {
    const types = resolved.type.filter((type) => type !== "null");
    resolved.type = types.length === 1 ? types[0] : undefined;
  }
  return { schema: resolved, within };
}

/** The values of an enum, each with its description. */
function choicesOf(schema) {
  if (schema.enum) return schema.enum.filter((value) => value !== null).map((value) => ({ value }));
  const options = schema.oneOf ?? schema.anyOf;
  if (options?.every((option) => "const" in option || option.enum)) {
    return options.flatMap((option) =>
      (option.enum ?? [option.const]).map((value) => ({ value, meaning: option.description })));
  }
  if ("const" in schema) return [{ value: schema.const }];
  return undefined;
}

/** The variants that a value can have. */
function variantsOf(schema) {
  const variants = schema.oneOf ?? schema.anyOf;
  return variants?.every((variant) => kindOf(variant) === "object") ? variants : undefined;
}

/** A schema's type and limits, in words. */
function facts(schema) {
  const words = [];
  const formats = { email: "e-mail address", uri: "URL", uuid: "UUID", date: "date", "date-time": "date and time with time zone" };
  if (schema.type === "integer") words.push("whole number");
  if (schema.type === "number") words.push("number");
  if (schema.type === "string") words.push(formats[schema.format] ?? "text");
  if (schema.type === "array") words.push("list");
  range(words, schema.minimum, schema.maximum, "");
  if ("exclusiveMinimum" in schema) words.push(`above ${schema.exclusiveMinimum}`);
  if ("exclusiveMaximum" in schema) words.push(`below ${schema.exclusiveMaximum}`);
  if ("multipleOf" in schema) words.push(`a multiple of ${schema.multipleOf}`);
  range(words, schema.minLength, schema.maxLength, "characters");
  range(words, schema.minItems, schema.maxItems, "items");
  if (schema.uniqueItems) words.push("no duplicates");
  if (schema.pattern) words.push(`matching ${schema.pattern}`);
  return words.join(", ");
}

function range(words, least, most, unit) {
  // "at least 0" is left out, because it would be shown for every unsigned integer.
  const from = least === 0 ? undefined : least;
  const text = [
    from !== undefined && most !== undefined && `${from} to ${most}`,
    from !== undefined && most === undefined && `at least ${from}`,
    from === undefined && most !== undefined && `at most ${most}`,
  ].find(Boolean);
  if (text) words.push(unit ? `${text} ${unit}` : text);
}

/** One field: its name, whether it is required, its limits, its description, its control, and the place for a mistake. */
function frame({ schema, path, label, required }, makeControl) {
  const id = freshId("field");
  const described = [schema.description && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const mistake = element("p", { class: "mistake", id: `${id}-error`, hidden: true });
  const control = makeControl({ id, "aria-describedby": described });
  const node = element("div", { class: "field" },
    element("label", { for: id },
      element("span", { class: "name" }, label), " ",
      element("span", { class: "need" }, [required ? "required" : "optional", facts(schema)].filter(Boolean).join(" · "))),
    schema.description && element("p", { class: "hint", id: `${id}-hint` }, schema.description),
    control, mistake);
  const mark = (sentence) => {
    mistake.textContent = sentence ?? "";
    mistake.hidden = !sentence;
    if (sentence) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  const self = { node, control, path, mark, focus: () => control.focus(), fields: () => [self] };
  return self;
}

function whenEmpty({ schema, required }) {
  if ("default" in schema) return `default: ${JSON.stringify(schema.default)}`;
  return required ? undefined : "not sent";
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function textField(place) {
  const { schema } = place;
  const isNumber = schema.type !== "string";
  const long = !isNumber && schema.maxLength > 200;
  const modes = { integer: "numeric", number: "decimal" };
  const field = frame(place, (attributes) =>
    element(long ? "textarea" : "input", {
      ...attributes,
      type: long ? undefined : "text",
      rows: long ? "3" : undefined,
      inputmode: modes[schema.type] ?? (schema.format === "email" ? "email" : undefined),
      placeholder: whenEmpty(place),
      autocomplete: "off",
      spellcheck: "false",
    }));
  field.read = () => {
    const text = field.control.value;
    if (text === "") return undefined;
    // A text that is not a number is sent as it was typed, so that the server says what is wrong with it.
    return isNumber && NUMBER.test(text.trim()) ? text.trim() : JSON.stringify(text);
  };
  field.write = (value) => {
    field.control.value = kindOf(value) === "string" ? value : (numberText(value) ?? "");
  };
  return field;
}

function choiceField(place) {
  const choices = choicesOf(place.schema) ?? [{ value: true }, { value: false }];
  const shown = ({ value, meaning }) => {
    const name = typeof value === "string" ? value : JSON.stringify(value);
    return meaning ? `${name} – ${meaning}` : name;
  };
  const field = frame(place, (attributes) =>
    element("select", attributes,
      element("option", { value: "" }, whenEmpty(place) ?? "choose one"),
      choices.map((choice) => element("option", { value: JSON.stringify(choice.value) }, shown(choice)))));
  field.read = () => field.control.value || undefined;
  field.write = (value) => { field.control.value = value === undefined ? "" : JSON.stringify(value); };
  return field;
}

function jsonField(place) {
  const field = frame({ ...place, label: `${place.label} (JSON)` }, (attributes) =>
    element("textarea", { ...attributes, rows: "3", class: "code", spellcheck: "false", placeholder: whenEmpty(place) }));
  field.read = () => field.control.value.trim() || undefined;
  field.write = (value) => {
    field.control.value = value === undefined || value === null ? "" : JSON.stringify(value, null, 2);
  };
  return field;
}

/** A fieldset around other fields. A mistake of the whole group is shown below the legend. */
function group({ schema, path, label, required }, ...content) {
  const id = freshId("group");
  const mistake = element("p", { class: "mistake", id: `${id}-error`, hidden: true });
  const node = element("fieldset", { "aria-describedby": `${id}-error`, tabindex: "-1" },
    element("legend", {}, element("span", { class: "name" }, label), " ",
      element("span", { class: "need" }, [required ? "required" : "optional", facts(schema)].filter(Boolean).join(" · "))),
    schema.description && element("p", { class: "hint" }, schema.description), mistake, content);
  const mark = (sentence) => {
    mistake.textContent = sentence ?? "";
    mistake.hidden = !sentence;
  };
  return { node, path, mark, focus: () => node.focus() };
}

/** An object's fields; the fields named in `order` come first. */
export function objectField(place, order = []) {
  const { schema, root, within, path, required } = place;
  const names = Object.keys(schema.properties);
  const last = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  names.sort((one, other) => last(one) - last(other));
  const members = names.map((name) => [name, fieldOf(schema.properties[name], {
    root, within, label: name, path: () => (place.label ? `${path()}.${name}` : name),
    required: schema.required?.includes(name) ?? false,
  })]);
  const nodes = members.map(([, field]) => field.node);
  const self = place.label ? group(place, nodes) : { node: element("div", {}, nodes), path, mark() {}, focus() {} };
  self.read = () => {
    const read = members.map(([name, field]) => [name, field.read()]).filter(([, text]) => text !== undefined);
    if (read.length === 0 && !required) return undefined;
    return `{${read.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
  };
  self.write = (value) => {
    const given = kindOf(value) === "object" ? value : {};
    for (const [name, field] of members) field.write(given[name]);
  };
  self.fields = () => [self, ...members.flatMap(([, field]) => field.fields())];
  return self;
}

function removable(node, name, remove) {
  return element("div", { class: "item" }, node,
    element("button", { type: "button", class: "small", "aria-label": `Remove ${name}`, onclick: remove }, "Remove"));
}

/** Rows that can be added and removed. The focus moves to the new row, or to the button "Add" after a removal. */
function rows(place, makeRow) {
  const list = element("div", { class: "items" });
  const current = [];
  const add = element("button", { type: "button", class: "small", onclick: () => append().focus() }, `Add to ${place.label}`);
  const self = { ...group(place, list, add), current };
  const changed = () => self.node.dispatchEvent(new Event("input", { bubbles: true }));
  const append = (value) => {
    const row = makeRow(`${place.label} ${current.length + 1}`, () => current.indexOf(row));
    const node = removable(row.node, `${place.label} ${current.length + 1}`, () => {
      current.splice(current.indexOf(row), 1);
      node.remove();
      add.focus();
      changed();
    });
    current.push(row);
    list.append(node);
    if (value !== undefined) row.write(value);
    changed();
    return row;
  };
  self.reset = (values) => {
    current.length = 0;
    list.replaceChildren();
    values.forEach((value) => append(value));
  };
  self.fields = () => [self, ...current.flatMap((row) => row.fields())];
  return self;
}

function listField(place) {
  const { schema, root, path } = place;
  const self = rows(place, (label, index) => fieldOf(schema.items, {
    root, within: [], label, path: () => `${path()}[${index()}]`, required: true,
  }));
  // An empty item is sent too, because leaving it out would change the number of items.
  const empty = resolve(schema.items, root, []).schema.type === "string" ? '""' : "null";
  self.read = () => {
    if (self.current.length === 0 && !place.required) return undefined;
    return `[${self.current.map((item) => item.read() ?? empty).join(",")}]`;
  };
  self.write = (value) => self.reset(kindOf(value) === "array" ? value : []);
  return self;
}

function mapField(place) {
  const { schema, root, path } = place;
  const values = kindOf(schema.additionalProperties) === "object" ? schema.additionalProperties : {};
  const self = rows(place, (label) => {
    const name = textField({ schema: { type: "string" }, label: `${label}: name`, path, required: true });
    const value = fieldOf(values, {
      root, within: [], label: `${label}: value`, path: () => `${path()}.${name.control.value}`, required: true,
    });
    return {
      node: element("div", {}, name.node, value.node),
      read: () => `${name.read() ?? '""'}:${value.read() ?? "null"}`,
      write: ([key, content]) => { name.write(key); value.write(content); },
      focus: () => name.focus(),
      fields: () => value.fields(),
    };
  });
  self.read = () => {
    if (self.current.length === 0 && !place.required) return undefined;
    return `{${self.current.map((row) => row.read()).join(",")}}`;
  };
  self.write = (value) => self.reset(kindOf(value) === "object" ? Object.entries(value) : []);
  return self;
}

/** A value with several variants: a person chooses the variant, then fills in its fields. */
function variantField(place) {
  const variants = variantsOf(place.schema).map((variant) => resolve(variant, place.root, place.within).schema);
  const nameOf = (variant, index) => {
    const tag = Object.values(variant.properties ?? {}).find((property) => "const" in property)?.const;
    const only = Object.keys(variant.properties ?? {});
    return variant.title ?? tag ?? variant.const ?? (only.length === 1 ? only[0] : `variant ${index + 1}`);
  };
  const inner = element("div", {});
  let chosen;
  const choose = (index) => {
    chosen = index === "" ? undefined : fieldOf(variants[index], {
      root: place.root, within: place.within, label: String(nameOf(variants[index], Number(index))), path: place.path, required: true,
    });
    inner.replaceChildren(...(chosen ? [chosen.node] : []));
  };
  const { anyOf: _, oneOf: __, ...schema } = place.schema;
  const field = frame({ ...place, schema }, (attributes) =>
    element("select", { ...attributes, onchange: () => choose(field.control.value) },
      element("option", { value: "" }, whenEmpty(place) ?? "choose one"),
      variants.map((variant, index) => element("option", { value: String(index) },
        [nameOf(variant, index), variant.description].filter(Boolean).join(" – ")))));
  field.node.append(inner);
  field.read = () => chosen?.read();
  field.write = (value) => {
    // Chooses the first variant whose form can show the whole value.
    const holds = (_, index) => {
      choose(String(index));
      chosen.write(value);
      const read = chosen.read();
      return read !== undefined && sameJson(read, value);
    };
    const index = value === undefined ? -1 : variants.findIndex(holds);
    field.control.value = index < 0 ? "" : String(index);
    if (index < 0) choose("");
  };
  field.fields = () => [field, ...(chosen?.fields() ?? [])];
  return field;
}

function sameJson(text, value) {
  try {
    return canonical(parse(text)) === canonical(value);
  } catch {
    // A JSON field does not contain JSON.
    return false;
  }
}
