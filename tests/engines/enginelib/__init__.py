# SPDX-License-Identifier: Apache-2.0
"""Helpers of the engine tests: commands with time limits, images, terminals, the lane's census."""
