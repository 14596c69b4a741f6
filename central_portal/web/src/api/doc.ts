import type { AnyVariables, TypedDocumentNode } from 'urql';

/** A document as codegen writes it: a String object that carries the types of result and variables. */
interface TypedString<Result, Variables> {
  toString(): string;
  __apiType?: (variables: Variables) => Result;
}

/** The same document as urql wants it: a primitive string with the types kept. */
export function doc<Result, Variables extends AnyVariables>(
  document: TypedString<Result, Variables>,
): TypedDocumentNode<Result, Variables> {
  return document.toString() as unknown as TypedDocumentNode<Result, Variables>;
}
