/** What does a stage's work: exactly one field. */
export interface StageWork {
  /**
   * Bundled: passes records on as they are, so that the schemas and rules alone decide.
   *
   * @default - not this
   */
  readonly check?: CheckSettings;

  /**
   * Bundled: reads a document's front matter and title, and tells Markdown from plain text.
   *
   * @default - not this
   */
  readonly parse?: ParseSettings;

  /**
   * Bundled: one form of Unicode and of white space, and no boilerplate.
   *
   * @default - not this
   */
  readonly normalise?: NormaliseSettings;

  /**
   * Bundled: cuts a document into pieces for retrieval, along its headings and paragraphs.
   *
   * @default - not this
   */
  readonly chunk?: ChunkSettings;

  /**
   * Bundled: replaces personal data and secrets by what kind of thing stood there.
   *
   * @default - not this
   */
  readonly redact?: RedactSettings;

  /**
   * Bundled: adds a vector from an OpenAI-compatible endpoint, such as the platform's own.
   *
   * @default - not this
   */
  readonly embed?: EmbedSettings;

  /**
   * A Lambda function of yours.
   *
   * @default - not this
   */
  readonly function?: FunctionSettings;

  /**
   * An AWS Glue job of yours.
   *
   * @default - not this
   */
  readonly glueJob?: GlueJobSettings;
}

/** Gives the same record. */
export interface CheckSettings {
  /**
   * Whether fields that the stage's `input` does not describe are left out of what it gives. Needs an `input`.
   *
   * @default false
   */
  readonly dropUnknownFields?: boolean;
}

/** Reads `uri` and `text`, gives `title`, `mediaType` and the text without front matter. */
export interface ParseSettings {
  /**
   * Whether YAML front matter between `---` lines is taken off the text of Markdown.
   *
   * @default true
   */
  readonly frontMatter?: boolean;
}

/** Gives the same record with its text fields in one form. */
export interface NormaliseSettings {
  /**
   * Names of the string fields.
   *
   * @default ['text']
   */
  readonly fields?: string[];

  /**
   * Form of Unicode.
   *
   * @default UnicodeForm.NFC
   */
  readonly unicode?: UnicodeForm;

  /**
   * Lines that are dropped wherever they stand, compared without white space at their ends.
   *
   * @default - none
   */
  readonly boilerplate?: string[];
}

/** A normalisation form of Unicode. */
export enum UnicodeForm {
  /** Canonical composition: what looks the same is the same. */
  NFC = 'NFC',
  /** Compatibility composition: ligatures and full-width forms become plain letters too. */
  NFKC = 'NFKC',
}

/**
 * Reads `uri` and `text`, gives one record a piece: its text, `id` (the same for the same text of the same document),
 * `heading` (the headings above it), `position` and `tokens`, beside the other fields of the document.
 */
export interface ChunkSettings {
  /**
   * The most tokens of a piece, headings excluded, 16 to 8,192. A token is estimated as 3.5 bytes of UTF-8.
   *
   * @default 256
   */
  readonly mostTokens?: number;

  /**
   * Tokens of the piece before that a piece repeats, 0 to half of `mostTokens`. Whole sentences only.
   *
   * @default 32
   */
  readonly overlapTokens?: number;
}

/** Gives the same record with what it found replaced, such as `[EMAIL]`, and counts each kind. */
export interface RedactSettings {
  /**
   * Names of the string fields.
   *
   * @default ['text']
   */
  readonly fields?: string[];

  /**
   * What is looked for.
   *
   * @default - all kinds
   */
  readonly kinds?: PersonalData[];
}

/** A kind of personal data or secret. */
export enum PersonalData {
  /** E-mail addresses. */
  EMAIL = 'email',
  /** Telephone numbers with a country code, or in the form of North America. */
  PHONE = 'phone',
  /** Card numbers of 13 to 19 digits with a valid check digit (Luhn) and a known first digit. */
  CREDIT_CARD = 'creditCard',
  /** International bank account numbers of a valid length for their country and a valid checksum (mod 97). */
  IBAN = 'iban',
  /** IPv4 and IPv6 addresses, but for loopback and unspecified ones. */
  IP_ADDRESS = 'ipAddress',
  /** What has the form of an access key or token of a well-known service, and private keys in PEM. */
  API_KEY = 'apiKey',
}

/** Adds `embedding`, a vector. Equal texts are asked for once. */
export interface EmbedSettings {
  /** Name of the embedding model. */
  readonly model: string;

  /** Length of the vectors, 1 to 16,384; to 4,096 where `retrieval` indexes them. An answer of another length is a fault. */
  readonly dimensions: number;

  /**
   * Whether the request names `dimensions`, for models that shorten their vectors on demand.
   *
   * @default false
   */
  readonly requestDimensions?: boolean;

  /**
   * Name of the string field that is embedded.
   *
   * @default 'text'
   */
  readonly field?: string;

  /**
   * Fields that are embedded with it, each on a line before it: what tells what a piece is about. The field itself stays as it
   * is, and a record that lacks one of them, or where it is no text, goes without.
   *
   * @default ['heading'] - the headings that a piece stands under, as the chunk stage gives them
   */
  readonly context?: string[];

  /**
   * Texts in one call, 1 to 2,048.
   *
   * @default 32
   */
  readonly batchSize?: number;

  /**
   * Calls in progress at one time, 1 to 64.
   *
   * @default 2
   */
  readonly parallelCalls?: number;

  /**
   * Attempts for one call, 1 to 10, with a growing delay between them. After the last the run stops: an endpoint that is
   * down is no fault of a record.
   *
   * @default 5
   */
  readonly attempts?: number;
}

/** A function that takes `{ records: [...] }` and gives `{ results: [...] }`; docs/data-pipeline/own-stage.md. */
export interface FunctionSettings {
  /** Name by which the construct and the local run find the function. */
  readonly name: string;

  /**
   * Records in one call, 1 to 1,000. A call that fails is repeated in halves until the record that fails it stands alone.
   *
   * @default 100
   */
  readonly batchSize?: number;
}

/** A job that reads the stage's input below `--input` and writes JSON lines below `--output`. */
export interface GlueJobSettings {
  /** Name by which the construct finds the job. */
  readonly name: string;
}
