/* SPDX-License-Identifier: Apache-2.0 */
/* cli/check_internal.h - the probes, for their table (check_report.c). */
#pragma once

#include "cli/check.h"

void probe_namespaces(struct check_finding *finding);
void probe_user_namespace(struct check_finding *finding);
void probe_overlay(struct check_finding *finding);
void probe_calls(struct check_finding *finding);
void probe_seccomp(struct check_finding *finding);
void probe_idmapped(struct check_finding *finding);
void probe_landlock(struct check_finding *finding);
