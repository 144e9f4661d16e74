// A TypeScript program that uses only the types generated from the support desk's OpenAPI document.
import type { components, paths } from "./openapi";

type Refund = paths["/refunds"]["post"];
type Given = Refund["requestBody"]["content"]["application/json"];
type Answer = Refund["responses"]["200"]["content"]["application/json"];

export const given: Given = { order_id: 1004, amount_cents: 2500, reason: null };
export const message = (answer: Answer): string => answer.message;

// @ts-expect-error The amount is required.
export const incomplete: Given = { order_id: 1004 };

type Recent = paths["/orders/recent"]["get"]["parameters"]["query"];
export const query: Recent = { email: "ana@example.com" };

// @ts-expect-error There are three priorities.
export const priority: components["schemas"]["Priority"] = "whenever";

type Unknown = Refund["responses"]["401"]["content"]["application/problem+json"];
export const detail = (problem: Unknown): string => problem.detail;
