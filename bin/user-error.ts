/** What the user can put right. Its message is all that is printed: no stack. */
export class UserError extends Error {}
