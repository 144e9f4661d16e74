// A TypeScript program that tells the variants of tagged unions apart, with the types of the zoo's OpenAPI document.
import type { components } from "./openapi";

type Tagged = components["schemas"]["Tagged"];

export const shown = (value: Tagged): string => {
  switch (value.kind) {
    case "nothing":
      return "nothing";
    case "some_fields":
      return value.number.toFixed(0);
    case "inner":
      return value.firstName;
  }
};

export const inner: Tagged = { kind: "inner", firstName: "Ana", "last-name": null, years: 7, oldNumber: null };

// @ts-expect-error There is no such variant.
export const other: Tagged = { kind: "others" };

// @ts-expect-error The variant has a number.
export const incomplete: Tagged = { kind: "some_fields" };
