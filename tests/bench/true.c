/* SPDX-License-Identifier: Apache-2.0 */
/* The static /bin/true of the benchmarks. */
int main(void)
{
	return 0;
}
