/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/kernfs/kernfs_file.c - open directories and text files of synthetic trees.
 */
#include "sentry/fs/kernfs/kernfs.h"
#include "sentry/vfs/simple.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Directory positions: ".", "..", the fixed children, then computed entries by key. */
#define POS_FIXED    2u
#define POS_COMPUTED 0x10000u

struct kern_file {
	struct file file;
	struct kmutex lock; /* of what follows: making and copying may park */
	struct buf text;
	bool made;
};

static bool dir_emit(struct file *f, struct dir_sink *sink, const char *name, unsigned int type,
		     uint64_t next)
{
	const struct inode *dir = f->inode;
	const size_t len = strlen(name);
	uint64_t ino = kern_child_ino(dir, name, len);

	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		ino = dir->ino;
	if (!sink->emit(sink, name, len, ino, type, next))
		return false;
	f->pos = next;
	return true;
}

static int iterate_computed(struct file *f, struct kern_inode *ki, struct dir_sink *sink)
{
	uint64_t key = f->pos - POS_COMPUTED;
	struct kern_entry entry;
	int r;

	if (!ki->node->next)
		return 0;
	while ((r = ki->node->next(ki, &key, &entry)) > 0) {
		key++;
		if (!dir_emit(f, sink, entry.name, entry.type, POS_COMPUTED + key))
			return 0;
	}
	return r;
}

static int dir_iterate(struct file *f, struct dir_sink *sink)
{
	struct kern_inode *ki = kern_file_inode(f);
	const struct kern_node *c = ki->node->children;

	if (f->pos == 0 && !dir_emit(f, sink, ".", DT_DIR, 1))
		return 0;
	if (f->pos == 1 && !dir_emit(f, sink, "..", DT_DIR, POS_FIXED))
		return 0;
	for (uint64_t pos = POS_FIXED; c && c->name; c++, pos++) {
		if (pos < f->pos)
			continue;
		if (ki->node->hidden && ki->node->hidden(ki, c)) {
			f->pos = pos + 1;
			continue;
		}
		if (!dir_emit(f, sink, c->name, IFTODT(c->mode), pos + 1))
			return 0;
	}
	if (f->pos < POS_COMPUTED)
		f->pos = POS_COMPUTED;
	return iterate_computed(f, ki, sink);
}

static const struct file_ops dir_ops = {
	.iterate = dir_iterate,
	.seek = simple_dir_seek,
	.release = simple_release,
};

/* A fresh text when it is read from the start. */
static int text_make(struct kern_file *kf)
{
	struct kern_inode *ki = kern_file_inode(&kf->file);
	int r;

	buf_done(&kf->text);
	kf->text.max = KERN_TEXT_MAX;
	kf->made = false;
	r = ki->node->show(ki, &kf->text);
	if (r == 0)
		r = buf_error(&kf->text);
	kf->made = r == 0;
	return r;
}

static ssize_t text_put(struct kern_file *kf, struct uio *u, uint64_t *pos)
{
	ssize_t n;
	int r;

	if (*pos == 0 || !kf->made) {
		r = text_make(kf);
		if (r < 0)
			return r;
	}
	if (*pos >= kf->text.len)
		return 0;
	n = uio_put(u, kf->text.data + *pos, kf->text.len - *pos);
	if (n > 0)
		*pos += (uint64_t)n;
	return n;
}

static ssize_t text_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct kern_file *kf = container_of(f, struct kern_file, file);
	ssize_t n;

	if (!kern_file_inode(f)->node->show)
		return -EINVAL;
	if (u->left == 0)
		return 0;
	kmutex_lock(&kf->lock);
	n = text_put(kf, u, pos);
	kmutex_unlock(&kf->lock);
	return n;
}

static ssize_t text_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct kern_inode *ki = kern_file_inode(f);
	const size_t len = u->left;
	AUTO_FREE char *text = NULL;
	ssize_t n;
	int r;

	if (!ki->node->store)
		return -EINVAL;
	if (len == 0)
		return 0;
	if (len > KERN_STORE_MAX)
		return -EINVAL;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	n = uio_get(u, text, len);
	if (n < 0 || (size_t)n < len)
		return -EFAULT; /* half a text would be another one */
	text[n] = '\0';
	r = ki->node->store(ki, f, text, (size_t)n);
	if (r < 0)
		return r;
	if (pos)
		*pos += (uint64_t)n;
	return n;
}

static void text_release(struct file *f)
{
	struct kern_file *kf = container_of(f, struct kern_file, file);

	buf_done(&kf->text);
	file_fini(f);
	free(kf);
}

static const struct file_ops text_ops = {
	.read = text_read,
	.write = text_write,
	.release = text_release,
};

int kern_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct kern_inode *ki = kern_inode_of(inode);
	struct kern_file *kf;
	struct file *f;
	int r;

	r = ki->node->may_open ? ki->node->may_open(ki, flags) : 0;
	if (r < 0)
		return r;
	if (S_ISDIR(ki->node->mode)) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		file_init(f, &dir_ops, NULL, NULL, flags);
		*ret = f;
		return 0;
	}
	if (ki->node->open)
		return ki->node->open(ki, flags, ret);
	if (!ki->node->show && !ki->node->store)
		return -ENXIO;
	kf = calloc(1, sizeof(*kf));
	if (!kf)
		return -ENOMEM;
	file_init(&kf->file, &text_ops, NULL, NULL, flags);
	kmutex_init(&kf->lock);
	*ret = &kf->file;
	return 0;
}
