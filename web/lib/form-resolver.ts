import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type Path, pathToString } from "@bufbuild/protobuf/reflect";
import { type FieldError, fieldErrors } from "@intime/client";
import type { FieldErrors, FieldValues, Resolver, UseFormSetError, Path as FieldPath } from "react-hook-form";

/** What checks a message against the rules of its schema. */
export interface MessageValidator {
  validate<Desc extends DescMessage>(
    schema: Desc,
    message: MessageShape<Desc>,
  ): { violations?: readonly Violation[] | undefined; error?: Error | undefined };
}

interface Violation {
  field: Path;
  ruleId: string;
  message: string;
}

/** The name under which a form keeps what belongs to no field. */
export const formError = "root";

/**
 * Returns a resolver for React Hook Form that runs the schema's own rules, the same that the server runs: a form's values
 * are made into the request, and each broken rule is shown at the field to blame.
 */
export function createResolver<Values extends FieldValues, Desc extends DescMessage>(
  validator: MessageValidator,
  schema: Desc,
  toRequest: (values: Values) => MessageShape<Desc>,
): Resolver<Values> {
  return (values) => {
    const { violations, error } = validator.validate(schema, toRequest(values));
    if (!violations && error) throw error; // a rule that cannot be run is a defect of the schema
    const broken = (violations ?? []).map(({ field, ruleId, message }) => ({
      field: pathToString(field),
      rule: ruleId,
      message,
    }));
    if (broken.length === 0) return { values, errors: {} };
    return { values: {}, errors: byField(schema, broken) as FieldErrors<Values> };
  };
}

/** Shows what the server finds wrong with a request at the fields to blame. Says whether it named any. */
export function setServerErrors<Values extends FieldValues>(
  err: unknown,
  schema: DescMessage,
  setError: UseFormSetError<Values>,
): boolean {
  const errors = Object.entries(byField(schema, fieldErrors(err)));
  for (const [name, error] of errors) setError(name as FieldPath<Values> | "root", error, { shouldFocus: true });
  return errors.length > 0;
}

/** Puts each broken rule to the field to blame, by the field's name in TypeScript; of several the first counts. */
export function byField(
  schema: DescMessage,
  broken: readonly FieldError[],
): Record<string, { type: string; message: string }> {
  const errors: Record<string, { type: string; message: string }> = {};
  for (const { field, rule, message } of broken) errors[nameOf(schema, field, rule)] ??= { type: rule, message };
  return errors;
}

/**
 * Returns the field of the form: the one that the path begins with, for a list's entries the list itself. A rule over
 * several fields has no path, but is named after the field to blame: "salary_max.at_least_min".
 */
function nameOf(schema: DescMessage, path: string, rule: string): string {
  const [first] = (path || rule).split(/[.[]/, 1);
  return schema.fields.find((field) => field.name === first)?.localName ?? formError;
}
