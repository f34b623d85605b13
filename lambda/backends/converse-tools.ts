import { UnsuitedBackend } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';
import type { ConverseMessage } from './converse-messages';

/** The tools that a model may call, and whether it must. */
export interface ToolConfig {
  readonly tools: readonly object[];
  readonly toolChoice?: object;
}

/** What a tool without parameters takes. */
const NO_PARAMETERS = { type: 'object', properties: {} };

/**
 * Translates tools and their choice. `strict` is left out: it is a wish that many models of Bedrock refuse.
 *
 * @throws UnsuitedBackend for tools other than functions, and for what Converse cannot promise
 */
export function toolConfigOf(
  { tools, tool_choice: choice, parallel_tool_calls: parallel }: Readonly<Record<string, unknown>>,
  messages: readonly ConverseMessage[],
): ToolConfig | undefined {
  const offered = Array.isArray(tools) ? (tools as unknown[]) : [];
  const areUsed = messages.some(({ content }) => content.some((block) => 'toolUse' in block || 'toolResult' in block));
  if (offered.length === 0 || choice === 'none') {
    // Converse wants to know the tools of a conversation that has used some, and would let the model call them again.
    if (areUsed)
      throw unsuited(
        'A conversation with tool calls must offer its tools',
        offered.length === 0 ? 'tools' : 'tool_choice',
      );
    return undefined;
  }
  if (parallel === false) throw unsuited('Tool calls cannot be held to one at a time', 'parallel_tool_calls');
  const toolChoice = toolChoiceOf(choice);
  return { tools: offered.map(toolSpec), ...(toolChoice && { toolChoice }) };
}

function toolSpec(tool: unknown, index: number): object {
  const offered = isRecord(tool) && tool.type === 'function' ? tool.function : undefined;
  if (!isRecord(offered) || typeof offered.name !== 'string')
    throw unsuited('A tool must be a function', `tools[${index}]`);
  const { name, description, parameters } = offered;
  return {
    toolSpec: {
      name,
      ...(typeof description === 'string' && description.trim() !== '' && { description }),
      inputSchema: { json: parameters ?? NO_PARAMETERS },
    },
  };
}

function toolChoiceOf(choice: unknown): object | undefined {
  if (choice == null) return undefined;
  if (choice === 'auto') return { auto: {} };
  if (choice === 'required') return { any: {} };
  const chosen = isRecord(choice) && choice.type === 'function' ? choice.function : undefined;
  if (isRecord(chosen) && typeof chosen.name === 'string') return { tool: { name: chosen.name } };
  throw unsuited('A choice of tools must be auto, required or one function', 'tool_choice');
}

function unsuited(what: string, field: string): UnsuitedBackend {
  return new UnsuitedBackend(`${what} for the Amazon Bedrock backend of this model.`, field);
}
