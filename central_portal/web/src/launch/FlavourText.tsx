import { Plural } from '@lingui/react/macro';
import { formatLocale } from '../i18n';
import { memory } from '../lib/format';

interface Size {
  cpus: number;
  memory: number;
  gpus: number;
}

/** "4 CPUs, 16 GiB, 1 GPU" */
export function FlavourText({ flavour }: { flavour: Size }) {
  return (
    <>
      <Plural value={flavour.cpus} one="# CPU" other="# CPUs" />, {memory(flavour.memory, formatLocale)}
      {flavour.gpus > 0 ? (
        <>
          , <Plural value={flavour.gpus} one="# GPU" other="# GPUs" />
        </>
      ) : null}
    </>
  );
}
