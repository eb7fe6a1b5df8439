/** src/sideload/launch.ts and the command of src/sideload/patch.ts in CEL. */

import { METHODS, supervisorBinary } from '../../sideload/contract.ts';
import { PATH_MAX } from '../../sideload/paths.ts';
import { add, lines, literal, type PolicyVariable, when } from './cel.ts';

const BINARIES = (['scratch', 'community'] as const).map(
  (layout) => [layout, Object.fromEntries(METHODS.map((method) => [method, supervisorBinary(method, layout)]))] as const,
);

export const COMMAND_LINE: readonly PolicyVariable[] = [
  {
    name: 'binary',
    expression: `{${BINARIES.map(([layout, binaries]) => `'${layout}': ${literal(binaries)}`).join(',\n  ')}}
[variables.layout][variables.intended]`,
  },
  {
    comment: 'startsRightBinary',
    name: 'rightBinaries',
    expression: `variables.intended == 'image-volume' ? variables.binaries : [variables.installedBinary]`,
  },
  {
    name: 'commandWords',
    expression: 'variables.container.?command.orValue([]) + variables.container.?args.orValue([])',
  },
  { name: 'end', expression: `variables.launched ? variables.commandWords.indexOf('--') : -1` },
  {
    comment: 'withoutSupervisor: where another webhook has wrapped a supervisor, and where that ends.',
    name: 'wrapped',
    expression: `variables.launched || variables.method == 'none' ? -1
: variables.commandWords.transformList(i, word,
    word in variables.rightBinaries && variables.commandWords[?i + 1].orValue('') == '--workdir').indexOf(true)`,
  },
  {
    name: 'wrappedEnd',
    expression: `variables.wrapped < 0 || variables.wrapped + 3 > variables.commandWords.size() ? -1
: [variables.commandWords.slice(variables.wrapped + 3, variables.commandWords.size())].map(rest, [rest.indexOf('--')].map(end,
    end >= 0 && rest.slice(0, end).all(word, word.startsWith('--upstream-')) ? variables.wrapped + 3 + end : -1)[0])[0]`,
  },
  {
    name: 'program',
    expression: `variables.launched
? (variables.end < 0 ? [] : variables.commandWords.slice(variables.end + 1, variables.commandWords.size()))
: variables.wrappedEnd < 0 ? variables.commandWords
: variables.commandWords.slice(0, variables.wrapped) +
  variables.commandWords.slice(variables.wrappedEnd + 1, variables.commandWords.size())`,
  },
  {
    comment: 'isWorkdir, without the empty and the single-dot parts of a path. One with .. is written as it is, and refused.',
    name: 'ownWorkdir',
    expression: `[variables.container.?workingDir.orValue('')].map(path,
  path.startsWith('/') && path.size() < ${PATH_MAX} &&
  !('/' + path.split('/').filter(part, part != '' && part != '.').join('/')).replace('/..', '/-').matches(variables.overlapsSystem)
  ? path : '')[0]`,
  },
  {
    name: 'workdirWord',
    expression: `variables.launched && variables.goodWorkdir ? variables.workdir
: (variables.ownWorkdir != '' ? variables.ownWorkdir : variables.sandboxWorkdir).replace('$(', '$$(')`,
  },
  {
    name: 'command',
    expression: `[variables.method != 'none' && variables.container.?command[?0].orValue('') in variables.rightBinaries
  ? string(variables.container.command[0]) : variables.binary, '--workdir', variables.workdirWord] + variables.operatorArgs`,
  },
  {
    name: 'args',
    expression: `variables.program.size() == 0 ? [] : ['--'] + variables.program.map(word, string(word))`,
  },
  {
    comment: 'A program of no words, after --, is none.',
    name: 'isCommanded',
    expression: `variables.launched && (variables.commandWords[variables.commandWords.size() - 1] == '--'
  ? variables.commandWords.slice(0, variables.commandWords.size() - 1) : variables.commandWords) == variables.command + variables.args`,
  },
  {
    name: 'commandOperations',
    expression: `variables.isCommanded ? [] :\n${lines(
      ' +',
      when(`variables.container.?command.orValue([]) != variables.command`, add(`variables.at + '/command'`, 'variables.command')),
      when(
        `variables.container.?command.hasValue() && variables.container.?args.orValue([]) != variables.args`,
        add(`variables.at + '/args'`, 'variables.args'),
      ),
    )}`,
  },
];
