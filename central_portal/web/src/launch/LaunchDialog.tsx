import { Trans } from '@lingui/react/macro';
import { useNavigate } from '@tanstack/react-router';
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { formatLocale } from '../i18n';
import { volume } from '../lib/format';
import type { Dataset } from '../search/queries';
import { LaunchLoader } from './LaunchLoader';

/** Starts an analysis of a dataset where it lies. Escape or a press outside closes it. */
export function LaunchDialog({ dataset, onClose }: { dataset: Dataset; onClose: () => void }) {
  const navigate = useNavigate();
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => (open ? undefined : onClose())} className="overlay">
      <Modal className="modal">
        <Dialog className="dialog launch" aria-describedby="launch-lead">
          <Heading slot="title" level={2}>
            <Trans>Start an analysis at {dataset.facility.name}</Trans>
          </Heading>
          <p id="launch-lead" className="muted">
            <Trans>
              {dataset.title || dataset.pid} ({volume(dataset.sizeBytes, formatLocale)}) stays where it is; the workspace starts beside
              it.
            </Trans>
          </p>
          <LaunchLoader
            facility={dataset.facility}
            dataset={dataset.id}
            wish={{ proposal: dataset.proposal ? [dataset.proposal] : undefined, title: dataset.title }}
            onCancel={onClose}
            onStarted={() => {
              onClose();
              void navigate({ to: '/workspaces' });
            }}
          />
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
