import { Trans } from '@lingui/react/macro';
import type { ReactNode } from 'react';
import { Button, Dialog, DialogTrigger, Heading, Modal, ModalOverlay } from 'react-aria-components';

interface ConfirmProps {
  /** The button that opens the question. */
  trigger: ReactNode;
  triggerClass?: string;
  question: ReactNode;
  /** Verb and object. */
  action: ReactNode;
  onConfirm: () => void;
  children: ReactNode;
}

/** A press that cannot be taken back asks once more and says what it means. */
export function Confirm({ trigger, triggerClass = 'btn', question, action, onConfirm, children }: ConfirmProps) {
  return (
    <DialogTrigger>
      <Button className={triggerClass}>{trigger}</Button>
      <ModalOverlay className="overlay" isDismissable>
        <Modal className="modal narrow">
          <Dialog role="alertdialog" className="dialog">
            {({ close }) => (
              <>
                <Heading slot="title" level={2}>
                  {question}
                </Heading>
                <div className="stack-tight">{children}</div>
                <div className="dialog-actions">
                  <Button className="btn" onPress={close}>
                    <Trans>Cancel</Trans>
                  </Button>
                  <Button
                    className="btn danger"
                    onPress={() => {
                      onConfirm();
                      close();
                    }}
                  >
                    {action}
                  </Button>
                </div>
              </>
            )}
          </Dialog>
        </Modal>
      </ModalOverlay>
    </DialogTrigger>
  );
}
