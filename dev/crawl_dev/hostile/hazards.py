"""All hazards by their names."""

from crawl_dev.hostile import markup, packed, wires

HAZARDS = {hazard.name: hazard for hazard in (*wires.HAZARDS, *packed.HAZARDS, *markup.HAZARDS)}
