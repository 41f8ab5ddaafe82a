//! Where one HTTP/2 frame ends and the next begins (RFC 9113, section 4.1), seen from beside the connection.
//!
//! hyper tells of a request when its head is whole. A peer that sends HEADERS and then CONTINUATION by the byte, or
//! half a frame and then nothing, is no request to it and would live as long as an idle connection may. Nor does it
//! tell of a peer that reads nothing, which keeps all that is on its way to it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lifetime::Lifetime;

const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// A connection whose [`Lifetime`] knows since when a head has been on its way.
pub struct Watched<S> {
    stream: S,
    frames: Frames,
    lifetime: Rc<Lifetime>,
    limit: Duration,
    write_limit: Duration,
}

impl<S> Watched<S> {
    /// Everything but content has to be whole within `limit`; content may pause as a body may. What is written has to
    /// be taken within `write_limit`.
    pub fn new(stream: S, lifetime: Rc<Lifetime>, limit: Duration, write_limit: Duration) -> Self {
        Self { stream, frames: Frames::default(), lifetime, limit, write_limit }
    }

    fn wrote<T>(&self, polled: Poll<T>) -> Poll<T> {
        match polled.is_pending() {
            true => self.lifetime.begin_write(self.write_limit),
            false => self.lifetime.end_write(),
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let open = this.frames.open();
        this.frames.take(&buf.filled()[before..]);
        match (open, this.frames.open()) {
            (before, after) if before == after => {}
            (_, Some(_)) => this.lifetime.begin_head(this.limit),
            (_, None) => this.lifetime.end_head(),
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Follows frames without keeping them. Whether they are allowed is for HTTP/2 to say.
#[derive(Debug, Default)]
struct Frames {
    preface: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    /// HEADERS without END_HEADERS has come, and no CONTINUATION that has it.
    in_block: bool,
    /// Which head, or other frame, is not whole: all the CONTINUATIONs of a block are one with it.
    number: u64,
}

impl Frames {
    /// What is not whole, if anything.
    fn open(&self) -> Option<u64> {
        let partial_preface = self.preface > 0 && self.preface < PREFACE_BYTES;
        let partial_frame = self.header_bytes > 0 && (self.header_bytes < HEADER_BYTES || self.kind() != DATA);
        (self.in_block || partial_preface || partial_frame).then_some(self.number)
    }

    fn take(&mut self, mut bytes: &[u8]) {
        let preface = bytes.len().min(PREFACE_BYTES - self.preface);
        self.preface += preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.header_bytes < HEADER_BYTES {
                let wanted = bytes.len().min(HEADER_BYTES - self.header_bytes);
                self.header[self.header_bytes..][..wanted].copy_from_slice(&bytes[..wanted]);
                self.header_bytes += wanted;
                bytes = &bytes[wanted..];
                if self.header_bytes == HEADER_BYTES {
                    self.begin_payload();
                }
            } else {
                let payload = bytes.len().min(self.payload_left);
                self.payload_left -= payload;
                bytes = &bytes[payload..];
            }
            if self.header_bytes == HEADER_BYTES && self.payload_left == 0 {
                self.end_frame();
            }
        }
    }

    fn kind(&self) -> u8 {
        self.header[3]
    }

    fn begin_payload(&mut self) {
        let [high, middle, low, ..] = self.header;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.in_block |= self.kind() == HEADERS;
    }

    fn end_frame(&mut self) {
        self.header_bytes = 0;
        if self.in_block && matches!(self.kind(), HEADERS | CONTINUATION) {
            self.in_block = self.header[4] & END_HEADERS == 0;
        }
        if !self.in_block {
            self.number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proxy::lifetime::Lifetimes;

    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: u8 = 0x4;
    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload, 0xff);
        frame
    }

    fn after(parts: &[&[u8]]) -> Frames {
        let mut frames = Frames::default();
        frames.take(PREFACE);
        parts.iter().for_each(|part| frames.take(part));
        frames
    }

    #[test]
    fn whole_frames_leave_nothing_open() {
        for parts in [
            &[][..],
            &[frame(SETTINGS, 0, 0)],
            &[frame(SETTINGS, 0, 18), frame(PING, 0, 8)],
            &[frame(HEADERS, END_HEADERS, 40)],
            &[frame(HEADERS, 0, 40), frame(CONTINUATION, 0, 9), frame(CONTINUATION, END_HEADERS, 0)],
            &[frame(DATA, 0, 16384), frame(DATA, 1, 0)],
        ] {
            assert_eq!(after(&[&parts.concat()]).open(), None, "{parts:?}");
        }
    }

    #[test]
    fn what_is_not_whole_is_open_unless_it_is_content() {
        for (part, open) in [
            (&frame(PING, 0, 8)[..1], true),
            (&frame(PING, 0, 8)[..16], true),
            (&frame(HEADERS, END_HEADERS, 40)[..48], true),
            (&frame(HEADERS, 0, 40)[..], true),
            (&frame(HEADERS, 0, 0)[..], true),
            (&[frame(HEADERS, 0, 4), frame(CONTINUATION, 0, 4)].concat()[..], true),
            (&[frame(HEADERS, 0, 4), frame(PING, 0, 8)].concat()[..], true),
            (&frame(DATA, 0, 40)[..9], false),
            (&frame(DATA, 0, 40)[..20], false),
            (&frame(DATA, 0, 40)[..5], true),
        ] {
            assert_eq!(after(&[part]).open().is_some(), open, "{part:?}");
        }
        let mut frames = Frames::default();
        assert_eq!(frames.open(), None);
        frames.take(&PREFACE[..23]);
        assert!(frames.open().is_some());
    }

    #[test]
    fn a_block_stays_the_same_however_many_continuations_it_has() {
        let mut frames = after(&[&frame(HEADERS, 0, 4)]);
        let open = frames.open();
        for _ in 0..10 {
            frames.take(&frame(CONTINUATION, 0, 1));
            assert_eq!(frames.open(), open);
        }
        frames.take(&frame(CONTINUATION, END_HEADERS, 1));
        assert_eq!(frames.open(), None);
        frames.take(&frame(HEADERS, 0, 4));
        assert_ne!(frames.open(), open);
    }

    #[tokio::test]
    async fn an_open_head_counts_towards_the_connections_time_and_a_whole_one_does_not() {
        let workers = Lifetimes::default();
        let registered = workers.register();
        let lifetime = registered.lifetime();
        let (block, rest) = (frame(HEADERS, 0, 4), frame(CONTINUATION, END_HEADERS, 4));
        let stream = stream_of(&[&PREFACE[..], &block, &rest]);
        let mut watched = Watched::new(stream, Rc::clone(lifetime), Duration::ZERO, Duration::ZERO);
        let mut read = async |bytes: usize| {
            tokio::io::AsyncReadExt::read_exact(&mut watched, &mut vec![0; bytes]).await.unwrap();
        };
        read(PREFACE_BYTES + block.len()).await;
        workers.tick();
        assert!(lifetime.is_overdue());
        read(rest.len()).await;
        assert!(!lifetime.is_overdue());
    }

    #[tokio::test]
    async fn a_write_that_nobody_takes_counts_towards_the_connections_time() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let workers = Lifetimes::default();
        let registered = workers.register();
        let lifetime = registered.lifetime();
        let (mut peer, stream) = tokio::io::duplex(8);
        let mut watched = Watched::new(stream, Rc::clone(lifetime), Duration::ZERO, Duration::from_millis(500));
        let mut write = Box::pin(watched.write_all(&[0; 12]));
        assert!(is_pending(&mut write).await);
        workers.tick();
        assert!(is_pending(&mut write).await);
        assert!(!lifetime.is_overdue());
        workers.tick();
        assert!(lifetime.is_overdue());
        peer.read_exact(&mut [0; 8]).await.unwrap();
        write.await.unwrap();
        assert!(!lifetime.is_overdue());
    }

    async fn is_pending(work: &mut (impl Future + Unpin)) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *work).poll(cx).is_pending())).await
    }

    fn stream_of(parts: &[&[u8]]) -> impl AsyncRead + Unpin + use<> {
        io::Cursor::new(parts.concat())
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_outcome_is_the_same(
            frames in prop::collection::vec((0u8..12, any::<u8>(), 0usize..40), 0..8),
            end in 0usize..200,
            cuts in prop::collection::vec(1usize..30, 1..10),
        ) {
            let mut bytes: Vec<u8> = PREFACE.to_vec();
            frames.iter().for_each(|(kind, flags, payload)| bytes.extend(frame(*kind, *flags, *payload)));
            bytes.truncate(PREFACE_BYTES + end);
            let mut whole = Frames::default();
            whole.take(&bytes);
            let mut cut = Frames::default();
            let (mut rest, mut turn) = (&bytes[..], 0);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts[turn % cuts.len()].min(rest.len()));
                cut.take(piece);
                (rest, turn) = (after, turn + 1);
            }
            prop_assert_eq!(whole.open(), cut.open());
        }
    }
}
