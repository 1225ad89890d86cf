/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/splice.h - moving data between files without the guest's memory: what sendfile(2),
 * splice(2), tee(2) and copy_file_range(2) are made of. Data is copied.
 */
#pragma once

#include "sentry/vfs/pipe.h"

/*
 * From file to file until len bytes, the end of `in`, or a short write. in_pos and out_pos NULL:
 * the file's own position. Bytes or -errno of file_read() and file_write().
 */
ssize_t splice_files(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos,
		     uint64_t len, uint64_t fsize_limit);

/* Between a pipe and a file that is not one. nonblock is about the pipe. */
ssize_t splice_from_pipe(struct pipe *p, struct file *out, uint64_t *pos, size_t len, bool nonblock,
			 uint64_t fsize_limit);
ssize_t splice_to_pipe(struct file *in, uint64_t *pos, struct pipe *p, size_t len, bool nonblock);

/* Between two pipes; `keep` leaves the data where it was (tee). */
ssize_t splice_pipes(struct pipe *from, struct pipe *to, size_t len, bool nonblock, bool keep);
