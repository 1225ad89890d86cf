/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/verbs.h - the verbs; each is defined in the file of its name.
 */
#pragma once

struct verb;

extern const struct verb verb_create, verb_start, verb_run, verb_state, verb_kill, verb_delete;
extern const struct verb verb_exec, verb_list, verb_ps, verb_pause, verb_resume, verb_update;
extern const struct verb verb_events, verb_spec, verb_features, verb_wait;
extern const struct verb verb_do, verb_check, verb_config, verb_debug, verb_template, verb_install;
extern const struct verb verb_uninstall, verb_help, verb_metrics;
