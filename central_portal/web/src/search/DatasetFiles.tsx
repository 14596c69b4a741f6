import { Plural, Trans } from '@lingui/react/macro';
import { useState } from 'react';
import { doc } from '../api/doc';
import { useRead } from '../api/read';
import { formatLocale } from '../i18n';
import { volume } from '../lib/format';
import { ReadError } from '../ui/ReadError';
import { Skeleton } from '../ui/Skeleton';
import { FilesOf } from './queries';

const FilesDocument = doc(FilesOf);

/** A page of files, and the next one below it when somebody asks for it. */
function Page({ dataset, after }: { dataset: string; after: string | null }) {
  const [goesOn, setGoesOn] = useState(false);
  const { data, error, pending, again } = useRead(FilesDocument, { dataset, after });
  if (error && !data) return <ReadError title={<Trans>The files could not be read just now.</Trans>} again={again} />;
  if (pending) return <Skeleton lines={3} />;
  const files = data?.files;
  if (!files) return null;
  return (
    <>
      {after === null && files.totalCount !== null ? (
        <p>
          <Plural value={files.totalCount ?? 0} one="# file" other="# files" />
        </p>
      ) : null}
      <ul className="files">
        {files.nodes.map((file) => (
          <li key={file.path}>
            <code>{file.path}</code> {volume(file.sizeBytes, formatLocale)}
          </li>
        ))}
      </ul>
      {files.pageInfo.hasNextPage && !goesOn ? (
        <button type="button" className="btn" onClick={() => setGoesOn(true)}>
          <Trans>Show more files</Trans>
        </button>
      ) : null}
      {goesOn ? <Page dataset={dataset} after={files.pageInfo.endCursor ?? null} /> : null}
    </>
  );
}

/** The files of a dataset, by their places below its root. */
export function DatasetFiles({ dataset }: { dataset: string }) {
  return (
    <section className="card">
      <h2>
        <Trans>Files</Trans>
      </h2>
      <Page dataset={dataset} after={null} />
    </section>
  );
}
