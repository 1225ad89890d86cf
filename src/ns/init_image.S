/* SPDX-License-Identifier: Apache-2.0 */
/* The program caisson-init as bytes of this program: no path to find, no other version to meet. */
	.section .rodata
	.globl init_image_start
	.globl init_image_end
	.balign 16
init_image_start:
	.incbin INIT_IMAGE
init_image_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
