import type { InputFile } from '../../lambda/data-pipeline/storage';
import type { ReferenceFiles } from '../../lambda/data-pipeline/reading/references';
import { UserError } from '../user-error';
import { InputDirectory } from './input-directory';

/** The sets of references and the golden set of a definition, as files below a directory. */
export function referenceFiles(directory: string): ReferenceFiles {
  const files = new InputDirectory(directory);
  return {
    read: (name, from, to) => files.read(name, from, to),
    find: async (name): Promise<InputFile> => {
      const found = await files.find(name);
      if (!found) throw new UserError(`there is no file ${name} in ${directory}`);
      return found;
    },
  };
}
