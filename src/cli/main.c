/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/json.h"

int main(int argc, char **argv)
{
	json_setup();
	return cli_main(argc, argv);
}
