"""The tamper manifest: for every field of a proof and a statement, and every kind of witness cell,
the tests that make it wrong.

`test_manifest.py` holds the lists to what there is: a new field, gadget or hint fails it until it
has an entry, and so does an entry whose test is gone. Names are test functions, as
`file::function` without "test_" and ".py".
"""

from __future__ import annotations

EVERY = (
    "tamper_fields::every_field_changed_or_malformed",
    "tamper_fields::every_field_zeroed_negated_or_taken_from_another",
    "tamper_fields::parts_of_two_honest_proofs_do_not_mix",
    "tamper_solidity::",
)
POINTS = (*EVERY, "tamper_fields::signs_of_several_points_at_once")
OPENING = (*EVERY, "opening_tamper::every_tampering_has_its_error")
FIT = "malicious_provers::evaluations_that_fit_each_other"
DROPPED = (
    "relations_dropped::einsum_dropped",
    "relations_dropped::lookup_dropped",
    "gadgets_chain::each_relation_that_alone_is_broken",
)

PROOF = {
    "stage1": (*POINTS, "order::multiplicities_named_after_beta"),
    "stage2": (*POINTS, "order::helpers_named_after_tau"),
    "sigma1": (*EVERY, "malicious_provers::mask_sums_are_claims"),
    "main_rounds": (*EVERY, "tamper_fields::two_fields_exchanged"),
    "lookups.slices": (*EVERY, FIT),
    "lookups.helper": (*EVERY, FIT),
    "lookups.table_helper": (*EVERY, FIT),
    "lookups.multiplicity": (*EVERY, FIT, "order::evaluations_named_after_a"),
    "lookups.table": (*EVERY, FIT),
    "e_point": (*POINTS, "malicious_provers::wrong_ends_of_a_contraction"),
    "sigma2": (*EVERY, "malicious_provers::sigma2_is_what_the_main_sumcheck_left"),
    "side_rounds": (*EVERY, "tamper_fields::two_fields_exchanged"),
    "e_x": (*EVERY, "malicious_provers::e_x_and_e_y_are_claims_of_their_own"),
    "e_y": (*EVERY, "malicious_provers::e_x_and_e_y_are_claims_of_their_own"),
    "z_points": (*POINTS, "tamper_fields::two_fields_exchanged"),
    "v_mask": (*EVERY, "malicious_provers::v_m_is_a_claim", "order::mask_sum_named_after_a"),
    "tile_rounds": (*EVERY, "tamper_fields::two_fields_exchanged"),
    **{f"opening.{name}": OPENING for name in ("h", "q", "g", "s", "d", "evaluations", "w")},
    "opening.opening": OPENING,  # W'
}

STATEMENT = {
    "context": (
        "tamper_fields::every_byte_of_the_context_counts",
        "tamper_fields::every_change_of_the_statement",
    ),
    "model_id": (
        "tamper_fields::another_model_id_is_absorbed",
        "tamper_fields::another_model_and_its_commitments",
    ),
    "srs_id": ("tamper_fields::another_srs",),
    "input": (
        "tamper_fields::every_change_of_the_statement",
        "tamper_witness::given_tensors_other_than_committed_or_stated",
    ),
    "output": (
        "tamper_fields::every_change_of_the_statement",
        "tamper_fields::sides_are_kept_apart",
        "tamper_witness::a_wrong_output_with_all_that_follows_from_it",
    ),
}

GIVEN = "tamper_witness::given_tensors_other_than_committed_or_stated"
ROLES = {
    "INPUT": (GIVEN,),
    "OUTPUT": ("tamper_witness::a_wrong_output_with_all_that_follows_from_it", *DROPPED),
    "INPUT_COMMITTED": (
        GIVEN,
        "tamper_witness::committed_tensors_are_what_their_points_say",
        "tamper_witness::out_of_range_committed_input",
        "validate::an_unranged_committed_input_is_a_field_element",
    ),
    "OUTPUT_COMMITTED": (
        "tamper_witness::a_wrong_output_with_all_that_follows_from_it",
        "tamper_witness::committed_tensors_are_what_their_points_say",
    ),
    "WEIGHT": (GIVEN, "tamper_fields::another_model_and_its_commitments"),
    "TABLE": (
        "tamper_witness::a_table_other_than_the_registered_one",
        "forged_programs::other_tables_and_points_fail_the_audit",
    ),
    "ACTIVATION": (
        "tamper_witness::every_cell_of_every_activation_and_hint",
        "tamper_witness::a_wrong_output_with_all_that_follows_from_it",
    ),
}

CELL = (
    "tamper_witness::every_cell_of_every_activation_and_hint",
    "gadgets_chain::each_output_and_hint_that_is_another",
    *DROPPED,
)
LIMB = (*CELL, "tamper_witness::high_limb_as_a_fraction")
# By gadget, then by what its hints' names end in; # stands for a limb's number.
HINTS = {
    "Linear": {},
    "Gather": {},
    "Floor": {},
    "Table": {},
    "Range": {".range.u#": (*LIMB, "tamper_witness::out_of_range_committed_input")},
    "Requantize": {
        ".r": (
            *CELL,
            "tamper_witness::shifted_quotient",
            "tamper_witness::fractional_quotient",
            "tamper_witness::remainder_of_a_remainder",
        ),
        ".r.u#": (*LIMB, "tamper_witness::shifted_quotient"),
        ".u#": (*LIMB, "tamper_witness::out_of_range_output_with_fitting_limbs"),
    },
    "Relu": {
        ".r": (*CELL, "tamper_witness::shifted_quotient", "tamper_witness::fractional_quotient"),
        ".n": (
            *CELL,
            "tamper_witness::relu_of_the_wrong_sign_or_of_both",
            "tamper_witness::relu_flipped",
        ),
        ".u#": LIMB,
        ".n.u#": LIMB,
    },
    "Max": {
        ".s": (*CELL, "tamper_witness::another_choice", "tamper_witness::half_a_choice"),
        ".d.u#": LIMB,
    },
    "Argmax": {
        ".s": (
            *CELL,
            "tamper_witness::another_choice",
            "tamper_witness::equal_maxima_leave_the_choice_free_but_not_argmax",
        ),
        ".c": (*CELL, "tamper_witness::equal_maxima_leave_the_choice_free_but_not_argmax"),
        ".m": (*CELL, "tamper_witness::another_choice"),
        ".d.u#": LIMB,
    },
    "Divide": {
        ".r": (*CELL, "tamper_witness::shifted_division"),
        ".u#": LIMB,
        ".r.u#": LIMB,
        ".e.u#": LIMB,
    },
    "Rsqrt": {
        ".t": (*CELL, "tamper_witness::another_square_root"),
        ".a": (*CELL, "tamper_witness::another_square_root"),
        ".u#": LIMB,
        ".a.u#": LIMB,
        ".e.u#": LIMB,
    },
}

MASKS_ARE_FREE = "malicious_provers::bad_masks_are_accepted"
COLUMNS = {
    "M": (
        "tamper_witness::every_multiplicity_counts",
        "order::multiplicities_named_after_beta",
        "relations_dropped::gaps_are_counted",
    ),
    "H": (
        "relations_dropped::wrong_helpers_of_the_right_sum",
        "order::helpers_named_after_tau",
        "relations_dropped::rows_beyond_the_slices_do_not_count",
    ),
    "G": ("relations_dropped::wrong_helpers_of_the_right_sum",),
    "mask1": (MASKS_ARE_FREE, "malicious_provers::mask_sums_are_claims"),
    "mask2": (MASKS_ARE_FREE, "malicious_provers::sigma2_is_what_the_main_sumcheck_left"),
    # Pads are the prover's to choose: they hide, and are outside of every relation.
    **{f"pad f{i}": (MASKS_ARE_FREE,) for i in range(4)},
    "pad T": (MASKS_ARE_FREE,),
}
# By Masks' fields. Any value is as good for soundness; what a bad one costs is privacy:
# tests/soundness/test_zero_knowledge.py.
MASKS = {
    "blinders": ("tamper_fields::another_model_and_its_commitments",),
    "mask1": COLUMNS["mask1"],
    "mask2": COLUMNS["mask2"],
    "pads": (MASKS_ARE_FREE, "relations_dropped::rows_beyond_the_slices_do_not_count"),
    "e_row": (MASKS_ARE_FREE,),
    "z_cells": (MASKS_ARE_FREE, "malicious_provers::v_m_is_a_claim"),
}
UNOWNED = (
    "tamper_witness::cells_that_nobody_owns_do_not_matter",
    "tamper_witness::the_rest_of_a_committed_tile_is_not_pinned",
    "tamper_witness::the_rest_of_tile_e_does_not_matter",
)
