"""What agents write about a house.

What belongs here: sentences and how they are put together. What does not: facts that other
elements state.
"""

from __future__ import annotations

from random import Random

_ENGLISH = (
    "Welcome home to this bright and beautifully kept property!",
    "The kitchen has quartz counters, a gas range & plenty of storage.",
    "Walk to shops, schools and the waterfront – everything is close.",
    "Roof (2019), furnace (2021) and hot water tank (2023) are newer.",
    'The seller calls it "the quiet end of the street".',
    "Strata fees < $400 a month; two pets & rentals allowed.",
    "Don't miss the 12' ceilings and the south-facing patio.",
    "Measurements are approximate; the buyer should verify if important.",
    "Easy access to transit, parks & recreation.",
    "The lower level has a separate entrance and suite potential.",
    "Possession is flexible. All offers are presented as received.",
    "A rare chance to own 5+ acres within minutes of town.",
)
_FRENCH = (
    "Superbe propriété située à deux pas des écoles et du marché.",
    "Cuisine rénovée en 2022, comptoirs de quartz & îlot central.",
    "Grande cour clôturée, idéale pour les enfants; voisinage très paisible.",
    "À proximité de l'hôpital, des pistes cyclables et du fleuve.",
    "Frais de copropriété < 350 $ par mois, déneigement inclus.",
    "Le sous-sol aménagé offre une entrée indépendante.",
    "Toiture refaite (2018), fenêtres récentes, chauffage à l'électricité.",
    "Occupation flexible; une visite saura vous plaire dès l'entrée!",
    "Coup de cœur assuré: lumière, boiseries d'époque et foyer au bois.",
)


def remarks(random: Random, french: bool, version: int) -> str:
    """A text of some sentences; texts of two versions of one listing always differ.

    Args:
        random: chance of this listing and version.
        french: the language.
        version: how often the text was changed.
    """
    sentences = random.sample(_FRENCH if french else _ENGLISH, random.randint(3, 6))
    if version:
        sentences.append(f"Mise à jour no {version}." if french else f"Update no. {version}.")
    return " ".join(sentences)
